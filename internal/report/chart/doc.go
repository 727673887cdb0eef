// Package chart draws one plot over time as an SVG that stands in a page: axes with units, lines, filled lines, one marked
// height, and gaps where nothing is known. It has no script and no style of its own: it gives classes (axis, grid, gap, rule,
// line, dot, fill and the tone of a line), and the page's style sheet colours them, so that light and dark are the page's affair.
//
// It knows nothing of requests, money or files, and must import no room but watchdog, for values that may be unknown.
package chart
