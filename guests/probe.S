// The built-in guest: says that it is up, times itself in a loop of known length, halts until a timer interrupt wakes
// it, and resets, which ends Firecracker with exit code 0. It lives for at least 25 ms, long enough for the manager to
// read its isolation back while the guest runs.
//
// The time stamp counter's own speed is not known here, so it prints the cycles of two things: of one loop, and of a
// halt whose 25 ms the timer vouches for. Together they tell how many instructions a second this KVM runs, however
// late the manager reads the lines.
//
// Interrupts are tried awake first, with a timer of 1 ms: only where that one came does the guest halt, so it can not
// sleep for ever. Where none came it waits the same 25 ms by polling the timer, bounded as well, and says so.
// No handler returns: an instruction emulator may lack IRETQ, so a handler is simply where the guest goes on.

#define COM1          0x3f8
#define PIC1_COMMAND  0x20
#define PIC1_DATA     0x21
#define PIC2_COMMAND  0xa0
#define PIC2_DATA     0xa1
#define PIT_CHANNEL0  0x40
#define PIT_COMMAND   0x43
#define I8042_COMMAND 0x64

#define TIMER_VECTOR  0x20        // where IRQ 0 is mapped to, clear of the CPU's own exceptions
#define TICKS_1MS     1193        // of the timer's 1.193182 MHz
#define TICKS_25MS    29830
#define LOOPS         100000      // of two instructions each: 200 000
#define ATTEMPTS      8           // the shortest counts: one may be held up by other work on the host's CPU
#define ENOUGH_CYCLES 200000000   // some 70 ms for all of them: where KVM emulates, once is enough
#define AWAKE_POLLS   10000       // each leaves the guest twice: together 8 ms and more on any CPU
#define TIMER_POLLS   200000

.globl _start
.text
.code64
_start:
  lea stack_top(%rip), %rsp
  lea up(%rip), %rsi
  call print

  lea loop_begin(%rip), %rsi
  call print
  mov $ATTEMPTS, %r12d
  mov $-1, %r13                   // the fewest cycles
  xor %r14, %r14                  // the sum of all cycles
loop_again:
  call start_stopwatch
  mov $LOOPS, %ecx
1: dec %ecx
  jnz 1b
  call stop_stopwatch
  cmp %r13, %rbp
  cmovb %rbp, %r13
  add %rbp, %r14
  cmp $ENOUGH_CYCLES, %r14
  jae loop_done
  dec %r12d
  jnz loop_again
loop_done:
  mov %r13, %rbp
  lea loop_end(%rip), %rsi
  call print
  lea loop_took(%rip), %rsi
  call print_cycles

  call route_timer
  lea try_halt(%rip), %rax
  mov $TICKS_1MS, %ecx
  call arm_timer
  sti
  mov $AWAKE_POLLS, %ecx
2: call read_timer
  dec %ecx
  jnz 2b
  cli
  jmp wait_awake

try_halt:                         // the interrupt came while awake, so it will come while halted
  lea stack_top(%rip), %rsp
  call end_interrupt
  lea woke(%rip), %rax
  mov $TICKS_25MS, %ecx
  call arm_timer
  call start_stopwatch
  sti
3: hlt
  jmp 3b

woke:
  lea stack_top(%rip), %rsp
  call stop_stopwatch
  call end_interrupt
  lea halted_and_woke(%rip), %rsi
  call print
  lea halt_took(%rip), %rsi
  call print_cycles
  jmp reset

wait_awake:                       // no interrupt came
  mov $TICKS_25MS, %ecx
  call start_timer
  mov $TIMER_POLLS, %ecx
4: call read_timer
  test $0x80, %al                 // the output pin is high once the time is over
  jnz 5f
  dec %ecx
  jnz 4b
5: lea waited(%rip), %rsi
  call print

reset:
  lea resetting(%rip), %rsi
  call print
  mov $0xfe, %al
  out %al, $I8042_COMMAND
6: hlt
  jmp 6b

// Prints the text at rsi.
print:
  mov $COM1, %dx
7: lodsb
  test %al, %al
  jz 8f
  out %al, %dx
  jmp 7b
8: ret

// Prints the text at rsi, the cycles of the stopwatch as sixteen hexadecimal digits, and a newline.
print_cycles:
  call print
  mov $16, %ecx
9: rol $4, %rbp
  mov %ebp, %eax
  and $0x0f, %al
  add $'0', %al
  cmp $'9', %al
  jbe 10f
  add $('a' - '9' - 1), %al
10: out %al, %dx
  dec %ecx
  jnz 9b
  mov $'\n', %al
  out %al, %dx
  ret

// rbp becomes the time stamp counter.
start_stopwatch:
  rdtsc
  shl $32, %rdx
  or %rdx, %rax
  mov %rax, %rbp
  ret

// rbp becomes the cycles since start_stopwatch.
stop_stopwatch:
  rdtsc
  shl $32, %rdx
  or %rdx, %rax
  sub %rbp, %rax
  mov %rax, %rbp
  ret

// Maps IRQ 0 to TIMER_VECTOR, masks every other line, and points the CPU at the interrupt table.
route_timer:
  mov $0x11, %al                  // both controllers: start of set-up, in cascade
  out %al, $PIC1_COMMAND
  out %al, $PIC2_COMMAND
  mov $TIMER_VECTOR, %al
  out %al, $PIC1_DATA
  mov $(TIMER_VECTOR + 8), %al
  out %al, $PIC2_DATA
  mov $0x04, %al                  // the second one hangs at line 2 of the first
  out %al, $PIC1_DATA
  mov $0x02, %al
  out %al, $PIC2_DATA
  mov $0x01, %al                  // 8086 mode
  out %al, $PIC1_DATA
  out %al, $PIC2_DATA
  mov $0xfe, %al
  out %al, $PIC1_DATA
  mov $0xff, %al
  out %al, $PIC2_DATA
  lea table(%rip), %rax
  mov %rax, table_base(%rip)
  lidt table_register(%rip)
  ret

// Lets the handler at rax take the timer's interrupt, and starts the timer.
arm_timer:
  lea table+TIMER_VECTOR*16(%rip), %rdi
  mov %ax, (%rdi)
  mov %cs, %dx
  mov %dx, 2(%rdi)
  movw $0x8e00, 4(%rdi)           // present, ring 0, interrupt gate
  shr $16, %rax
  mov %ax, 6(%rdi)
  shr $16, %rax
  mov %eax, 8(%rdi)

// Starts the timer: one shot after ecx ticks.
start_timer:
  mov $0x30, %al                  // channel 0, low and high byte, interrupt on terminal count
  out %al, $PIT_COMMAND
  mov %ecx, %eax
  out %al, $PIT_CHANNEL0
  mov %ah, %al
  out %al, $PIT_CHANNEL0
  ret

// al becomes the timer's status.
read_timer:
  mov $0xe2, %al                  // latch the status of channel 0
  out %al, $PIT_COMMAND
  in $PIT_CHANNEL0, %al
  ret

end_interrupt:
  mov $0x20, %al
  out %al, $PIC1_COMMAND
  ret

up:              .asciz "warder probe: up\n"
loop_begin:      .asciz "warder probe: loop 200000 begin\n"
loop_end:        .asciz "warder probe: loop 200000 end\n"
loop_took:       .asciz "warder probe: loop cycles 0x"
halted_and_woke: .asciz "warder probe: halted and woke\n"
halt_took:       .asciz "warder probe: halt 25000 us cycles 0x"
waited:          .asciz "warder probe: waited without an interrupt\n"
resetting:       .asciz "warder probe: reset\n"
marker:          .asciz "warder-fake-guest:probe"

table_register:  .word table_end - table - 1
table_base:      .quad 0
.balign 16
table:           .fill (TIMER_VECTOR + 1) * 16, 1, 0
table_end:
stack:           .fill 256, 1, 0
stack_top:
