// Writes to the serial port without end, and never a newline: for bounded consoles and logs.
.globl _start
.text
.code64
_start:
  mov $0x3f8, %dx                 // COM1
  mov $'A', %al
1: out %al, %dx
  jmp 1b
marker: .asciz "warder-fake-guest:flood"
