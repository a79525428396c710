# Counts for about two seconds of the time stamp counter, says how far it got as 16 hexadecimal digits between "<" and
# ">", then sleeps. With the CPU time that the vCPU took, that says what a loop costs: on a host that is not shared, and
# on one that is.

    .text
    .code64
    .globl _start
_start:
    xor %r8, %r8                  # loops done
    call cycles
    mov %rax, %r9
    mov $1, %r10                  # 2^32 cycles
    shl $32, %r10
    add %r9, %r10                 # when to stop
1:  mov $1000, %ecx
2:  inc %r8
    dec %ecx
    jnz 2b
    call cycles
    cmp %r10, %rax
    jb 1b
    mov $0x3f8, %dx
    mov $'<', %al
    out %al, %dx
    mov $16, %ecx
3:  rol $4, %r8
    mov %r8d, %eax
    and $0x0f, %al
    add $'0', %al
    cmp $'9', %al
    jbe 4f
    add $('a' - '9' - 1), %al
4:  out %al, %dx
    dec %ecx
    jnz 3b
    mov $'>', %al
    out %al, %dx
    cli
5:  hlt
    jmp 5b
cycles:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    ret
