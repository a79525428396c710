// Prints "tick" for ever: for pause, resume, snapshot, stop and reattach. Paced by the time stamp counter, some 20 to
// 60 lines a second, so that it is as fast where KVM emulates instructions as on hardware.
#define CYCLES_BETWEEN 0x4000000

.globl _start
.text
.code64
_start:
  mov $0x3f8, %dx                 // COM1
again:
  lea message(%rip), %rsi
1: lodsb
  test %al, %al
  jz 2f
  out %al, %dx
  jmp 1b
2: rdtsc
  mov %eax, %ebx
3: rdtsc
  sub %ebx, %eax                  // of the low halves: right across their overflow and after a restored snapshot
  cmp $CYCLES_BETWEEN, %eax
  jb 3b
  mov $0x3f8, %dx
  jmp again
message: .asciz "tick\n"
marker:  .asciz "warder-fake-guest:tick"
