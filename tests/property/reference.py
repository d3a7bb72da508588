"""A small reference model of budgets: what the design says in few lines, with none of the engine in it."""

from __future__ import annotations

from dataclasses import dataclass, field

INPUT_PICO, OUTPUT_PICO = 3_000_007, 11_000_003
MAX_OUTPUT = 1000
TTL_NANOS = 600 * 10**9


def cost(input_tokens: int, output_tokens: int) -> int:
    """Nano-USD of a call: pico-USD, rounded up once."""
    return -(-(input_tokens * INPUT_PICO + output_tokens * OUTPUT_PICO) // 1000)


@dataclass
class Hold:
    """One admitted call."""

    run: str
    input: int
    output: int
    expires_at: int
    state: str = "OPEN"
    charged: tuple[int, int] = (0, 0)

    @property
    def worst(self) -> tuple[int, int]:
        """Nano-USD and tokens it holds."""
        return cost(self.input, self.output), self.input + self.output


@dataclass
class Reference:
    """Two budgets: money of the tenant, tokens of each run. Both must fit."""

    tenant_nano_usd: int
    run_tokens: int
    holds: dict[str, Hold] = field(default_factory=dict)
    adjusted: int = 0

    def totals(self, run: str) -> tuple[int, int]:
        """What is spent or held: nano-USD of the tenant, tokens of the run."""
        money = tokens = 0
        for hold in self.holds.values():
            nano_usd, used = hold.worst if hold.state == "OPEN" else hold.charged
            money += nano_usd
            tokens += used if hold.run == run else 0
        return money + self.adjusted, tokens

    def affordable(self, run: str, input_tokens: int, wanted: int) -> int:
        """Most output tokens that fit both budgets; negative when not even none do."""
        money, tokens = self.totals(run)
        left = self.tenant_nano_usd - money
        by_money = (left * 1000 - input_tokens * INPUT_PICO) // OUTPUT_PICO
        return min(wanted, by_money, self.run_tokens - tokens - input_tokens)

    def admit(self, name: str, run: str, input_tokens: int, output_tokens: int, now: int) -> None:
        """Holds."""
        self.holds[name] = Hold(run, input_tokens, output_tokens, now + TTL_NANOS)

    def expire(self, now: int) -> None:
        """Charges the worst case of what has run out."""
        for hold in self.holds.values():
            if hold.state == "OPEN" and hold.expires_at <= now:
                hold.state, hold.charged = "EXPIRED", hold.worst

    def settle(self, name: str, input_tokens: int, output_tokens: int) -> None:
        """Charges what was used; corrects an expired hold."""
        hold = self.holds[name]
        hold.state, hold.charged = "SETTLED", (cost(input_tokens, output_tokens), input_tokens + output_tokens)

    def release(self, name: str) -> None:
        """Charges nothing."""
        self.holds[name].state, self.holds[name].charged = "RELEASED", (0, 0)
