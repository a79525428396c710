import type { TestContext } from "node:test";

const stacks = new WeakMap<TestContext, AsyncDisposableStack>();

/**
 * What is undone after a test: the last first, each whatever became of the others. The runner's own hooks run in the order
 * in which they were given, and none after one that fails: a process that one of them would end keeps the file from ending.
 */
export function afterwards(context: TestContext): AsyncDisposableStack {
  const known = stacks.get(context);
  if (known !== undefined) return known;
  const stack = new AsyncDisposableStack();
  stacks.set(context, stack);
  context.after(() => stack.disposeAsync());
  return stack;
}
