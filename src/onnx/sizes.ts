// The size of an axis as a file declares it in, a number, a name or an expression such as '2*s + 1'; what it comes to
// for known names out.

/** Sizes by name. */
export type Sizes = ReadonlyMap<string, number>;

/** A size that follows from names. */
export interface SizeExpression {
  /** As the file has it. */
  readonly text: string;
  /** The names in it, each once; none for a number. */
  readonly names: readonly string[];
  /** Its value, where every name has one. */
  at(sizes: Sizes): number;
}

/** A size that is fixed, or one that is free by a name of its own. */
const fixedSize = (size: number): SizeExpression => ({ text: String(size), names: [], at: () => size });
export const freeSize = (name: string): SizeExpression => ({
  text: name,
  names: [name],
  at: (sizes) => sizes.get(name)!,
});

/** What exporters write where they do not know a size; two of them need not be equal. */
const NAMELESS = /^(|\?.*|none|unknown|unk|-1|dyn(amic)?)$/i;

/**
 * Reads a size: PyTorch's exporter writes expressions of names; what is none is a name as it stands. `otherwise` names
 * one without a name.
 */
export function parseSize(declared: number | string, otherwise: string): SizeExpression {
  if (typeof declared === 'number') return fixedSize(declared);
  if (NAMELESS.test(declared.trim())) return freeSize(otherwise);
  try {
    return new Parser(declared).size();
  } catch {
    return freeSize(declared.trim());
  }
}

/** Numbers that are tried one after the other. */
const MOST_GUESSES = 2 ** 16;

/**
 * The whole numbers from 1 on that `name` may be for the size to be `wanted`, the others being known; the two smallest
 * at most.
 */
export function solve(size: SizeExpression, name: string, wanted: number, sizes: Sizes): number[] {
  const at = (guess: number) => size.at(new Map([...sizes, [name, guess]]));
  // Most are straight lines, such as 2*s + 1.
  const [first, step] = [at(1), at(2) - at(1)];
  const guess = 1 + (wanted - first) / step;
  if (Number.isSafeInteger(guess) && guess > 1 && at(guess) === wanted && at(guess - 1) + step === wanted) {
    return at(guess + 1) === wanted + step ? [guess] : [guess, guess + 1];
  }
  const found: number[] = [];
  for (let k = 1; k <= Math.min(MOST_GUESSES, 64 * wanted + 64) && found.length < 2; k++) {
    if (at(k) === wanted) found.push(k);
  }
  return found;
}

type Evaluate = (sizes: Sizes) => number;

const functions: Readonly<Record<string, (...args: readonly number[]) => number>> = {
  max: Math.max,
  min: Math.min,
  mod: (a, b) => a! - b! * Math.floor(a! / b!),
  floor: Math.floor,
  ceiling: Math.ceil,
  floordiv: (a, b) => Math.floor(a! / b!),
};

/** Sums, products, powers, `//`, and the functions above, as sympy prints them. */
class Parser {
  readonly #text: string;
  readonly #tokens: readonly string[];
  readonly #names = new Set<string>();
  #at = 0;

  constructor(text: string) {
    this.#text = text.trim();
    // A dash between letters belongs to a name; a difference has blanks around it.
    this.#tokens = this.#text.match(/\d+|[A-Za-z_](?:[\w.]|-(?=[A-Za-z]))*|\*\*|\/\/|[-+*/(),]|\S/g) ?? [];
  }

  size(): SizeExpression {
    const at = this.#sum();
    if (this.#at < this.#tokens.length) throw new Error('more than an expression');
    return { text: this.#text, names: [...this.#names], at };
  }

  #sum(): Evaluate {
    let left = this.#product();
    for (let op = this.#next('+', '-'); op; op = this.#next('+', '-')) {
      const [a, b, sign] = [left, this.#product(), op === '+' ? 1 : -1];
      left = (sizes) => a(sizes) + sign * b(sizes);
    }
    return left;
  }

  #product(): Evaluate {
    let left = this.#power();
    for (let op = this.#next('*', '//', '/'); op; op = this.#next('*', '//', '/')) {
      const [a, b, by] = [left, this.#power(), op];
      left = (sizes) =>
        by === '*' ? a(sizes) * b(sizes) : by === '/' ? a(sizes) / b(sizes) : Math.floor(a(sizes) / b(sizes));
    }
    return left;
  }

  #power(): Evaluate {
    const base = this.#atom();
    if (!this.#next('**')) return base;
    const exponent = this.#power();
    return (sizes) => base(sizes) ** exponent(sizes);
  }

  #atom(): Evaluate {
    if (this.#next('-')) {
      const inner = this.#power();
      return (sizes) => -inner(sizes);
    }
    if (this.#next('(')) {
      const inner = this.#sum();
      this.#expect(')');
      return inner;
    }
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error('ends too early');
    if (/^\d/.test(token)) return () => Number(token);
    if (!/^[A-Za-z_]/.test(token)) throw new Error(`'${token}' is no name`);
    if (!this.#next('(')) {
      this.#names.add(token);
      return (sizes) => sizes.get(token)!;
    }
    const key = token.toLowerCase();
    const f = Object.hasOwn(functions, key) ? functions[key] : undefined;
    if (!f) throw new Error(`'${token}' is no function`);
    const args = [this.#sum()];
    while (this.#next(',')) args.push(this.#sum());
    this.#expect(')');
    return (sizes) => f(...args.map((arg) => arg(sizes)));
  }

  #next(...tokens: readonly string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || !tokens.includes(token)) return undefined;
    this.#at++;
    return token;
  }

  #expect(token: string): void {
    if (!this.#next(token)) throw new Error(`expected '${token}'`);
  }
}
