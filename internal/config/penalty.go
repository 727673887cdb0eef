package config

import "strings"

// mostPenalty bounds the factor of a Penalty.
const mostPenalty = 1000

// Penalty is what one cold start costs the people who wait for it: a multiple of the pod's own time, or an amount.
type Penalty struct {
	// Factor is how many times the cold start's own pod time it costs, 0 to 1000; meaningless where IsUSD.
	Factor float64
	// USD is an amount in US dollars, 0 to 1000; meaningful only where IsUSD.
	USD   float64
	IsUSD bool
}

func (p Penalty) String() string {
	if p.IsUSD {
		return "$" + formatNumber(p.USD)
	}
	return formatNumber(p.Factor) + "x"
}

func parsePenalty(s string) (any, error) {
	number, isFactor := strings.CutSuffix(s, "x")
	amount, isUSD := strings.CutPrefix(s, "$")
	if isUSD {
		number = amount
	}
	f, ok := parseDecimal(number)
	switch {
	case !ok:
		return nil, wrong(s, "is no penalty; write a factor such as 3x, or US dollars such as $0.25 (in a shell quote them: '$0.25')")
	case f < 0:
		return nil, wrong(s, "is negative; the least penalty is 0x")
	case !isFactor && !isUSD:
		n := clip(number)
		return nil, wrong(s, "may mean two things; write %sx for a multiple of the cold start's own cost, or $%s for US dollars", n, n)
	case isUSD && f > mostUSD:
		return nil, wrong(s, "is more than %d US dollars for one cold start, surely a mistake; write dollars such as $0.25", mostUSD)
	case isFactor && f > mostPenalty:
		return nil, wrong(s, "is more than %dx, surely a mistake; write a factor such as 3x", mostPenalty)
	case isUSD:
		return Penalty{USD: f + 0, IsUSD: true}, nil
	}
	return Penalty{Factor: f + 0}, nil
}
