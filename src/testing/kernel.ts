/**
 * Kernels of a few hundred bytes that behave the same under the fake and under the real Firecracker: an x86-64 ELF
 * whose machine code does what the marker inside it tells the fake to do.
 */
import { elfProgram, machineCode } from "./common/elf.ts";
import { GUEST_MARKER, type GuestBehaviour } from "./firecracker/behaviour.ts";

/** Where the kernel is loaded and entered: Firecracker maps the first GiB one to one and starts in 64-bit mode. */
const LOAD_ADDRESS = 0x100_0000n;

interface Program {
  /** Machine code; the message follows right behind it. */
  readonly code: string;
  readonly message: string;
}

// mov $0x3f8,%dx (COM1); lea message(%rip),%rsi; 1: lodsb; test %al,%al; jz 2f; out %al,%dx; jmp 1b; 2:
const print = (displacement: string) => `66baf803 488d35${displacement}000000 ac 84c0 7403 ee ebf8`;
// mov $0xfe,%al; out %al,$0x64 (i8042: reset); 1: hlt; jmp 1b
const RESET = "b0fe e664 f4 ebfd";
// cli; 1: hlt; jmp 1b
const SLEEP = "fa f4 ebfd";
// mov $200000,%ecx; 1: dec %ecx; jnz 1b; jmp to the lea
const AGAIN = "b9400d0300 ffc9 75fc ebe6";
// push $0; push $0; lidt (%rsp); ud2: no interrupt table, so the fault triples
const TRIPLE_FAULT = "6a00 6a00 0f011c24 0f0b";
// 1: in $0x64; test $1; jz 2f; in $0x60; cmp $0x71 (Delete); je 4f; 2: mov $20000,%ecx; 3: dec; jnz 3b; jmp 1b; 4:
const AWAIT_DELETE = "e464 a801 7406 e460 3c71 740b b9204e0000 ffc9 75fc ebe9";
// mov $0x3f8,%dx; mov $'A',%al; 1: out %al,%dx; jmp 1b
const FLOOD = "66baf803 b041 ee ebfd";

const HELLO: Program = { code: print("0f") + RESET, message: "hello from a jailed guest\n" };

const PROGRAMS: Readonly<Record<string, Program>> = {
  idle: { code: print("0c") + SLEEP, message: "idle\n" },
  tick: { code: print("13") + AGAIN, message: "tick\n" },
  flood: { code: FLOOD, message: "" },
  panic: { code: print("12") + TRIPLE_FAULT, message: "panicking\n" },
  "ctrl-alt-del": { code: print("26") + AWAIT_DELETE + RESET, message: "waiting for ctrl-alt-del\n" },
};

/** What a guest prints before it does anything else. */
export function guestMessage(behaviour: GuestBehaviour): string {
  return (PROGRAMS[behaviour] ?? HELLO).message;
}

/**
 * A bootable kernel with this behaviour. Under the real Firecracker it is `hello` where no guest can have the behaviour
 * (`seccomp`, `exit:…`, `signal:…`) and for `probe`.
 *
 * @example
 * await writeFile(join(jail, "kernel"), guestKernel("tick"));
 */
export function guestKernel(behaviour: GuestBehaviour): Uint8Array {
  const { code, message } = PROGRAMS[behaviour] ?? HELLO;
  const strings = Buffer.from(`${message}\0${GUEST_MARKER}${behaviour}\0`);
  return elfProgram(LOAD_ADDRESS, Buffer.concat([machineCode(code), strings]));
}
