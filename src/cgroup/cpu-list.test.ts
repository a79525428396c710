import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { normaliseCpuList } from "./cpu-list.ts";

const numbersOf = (list: string): Set<number> =>
  new Set(
    list.split(",").flatMap((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_none, index) => first + index);
    }),
  );

describe("normaliseCpuList", () => {
  it("sorts, joins and shortens as the kernel does", () => {
    assert.equal(normaliseCpuList("1,0"), "0-1");
    assert.equal(normaliseCpuList("3-3,0-1"), "0-1,3");
    assert.equal(normaliseCpuList("0-3,2-5,7"), "0-5,7");
    assert.equal(normaliseCpuList("8"), "8");
  });

  it("refuses what is no list, and a range that runs backwards", () => {
    for (const list of ["", "a", "1-", "1--2", "0,,1", "3-1", "0x1", "-1"]) {
      assert.throws(() => normaliseCpuList(list), RangeError, list);
    }
  });

  it("keeps the set, and is its own fixed point", () => {
    const range = fc
      .tuple(fc.nat(40), fc.nat(8))
      .map(([first, more]) => (more === 0 ? `${first}` : `${first}-${first + more}`));
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 8 }), (parts) => {
        const list = parts.join(",");
        const normal = normaliseCpuList(list);
        assert.deepEqual(numbersOf(normal), new Set([...numbersOf(list)].sort((one, other) => one - other)));
        assert.equal(normaliseCpuList(normal), normal);
      }),
    );
  });
});
