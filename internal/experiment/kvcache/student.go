package kvcache

import "math"

// studentQuantile is the p-quantile of Student's t distribution with that many degrees of freedom, for p from 0.5 up to below
// 1 and at least one degree. It bisects the distribution function to the last bits of a float.
func studentQuantile(p float64, degrees int) float64 {
	low, high := 0.0, 1.0
	for studentBelow(high, degrees) < p && high < 1e12 {
		high *= 2
	}
	for range 200 {
		mid := low + (high-low)/2
		if mid == low || mid == high {
			break
		}
		if studentBelow(mid, degrees) < p {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// studentBelow is the probability of a value of at most t, for t of at least 0: 1 − I(ν/(ν+t²); ν/2, 1/2) ÷ 2 (Abramowitz and
// Stegun 26.7.1).
func studentBelow(t float64, degrees int) float64 {
	n := float64(degrees)
	return 1 - incompleteBeta(n/(n+t*t), n/2, 0.5)/2
}

// incompleteBeta is the regularised incomplete beta function I(x; a, b), by its continued fraction (Abramowitz and Stegun
// 26.5.8) where that converges fast, and by I(x; a, b) = 1 − I(1−x; b, a) elsewhere.
func incompleteBeta(x, a, b float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab - la - lb + a*math.Log(x) + b*math.Log1p(-x))
	if x < (a+1)/(a+b+2) {
		return front * betaFraction(x, a, b) / a
	}
	return 1 - front*betaFraction(1-x, b, a)/b
}

// betaFraction is the continued fraction of the incomplete beta function, by Lentz's method.
func betaFraction(x, a, b float64) float64 {
	const tiny, enough, steps = 1e-300, 1e-15, 10_000
	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/away(1-(a+b)*x/(a+1))
	f := d
	for m := 1.0; m <= steps; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1/away(1+even*d), away(1+even/c)
		f *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1/away(1+odd*d), away(1+odd/c)
		f *= d * c
		if math.Abs(d*c-1) < enough {
			break
		}
	}
	return f
}
