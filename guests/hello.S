// The smallest guest: prints one line on the serial port, then resets, which ends Firecracker with exit code 0.
// Firecracker enters an ELF kernel in 64-bit mode at its entry point, with the first GiB mapped one to one.
.globl _start
.text
.code64
_start:
  lea message(%rip), %rsi
  mov $0x3f8, %dx                 // COM1
1: lodsb
  test %al, %al
  jz 2f
  out %al, %dx
  jmp 1b
2: mov $0xfe, %al                 // i8042: reset
  out %al, $0x64
3: hlt
  jmp 3b
message: .asciz "hello from a jailed guest\n"
marker:  .asciz "warder-fake-guest:hello"
