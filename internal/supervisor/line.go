package supervisor

import (
	"fmt"
	"time"
)

// appendLine appends a link.Message of a line as JSON. A server writes thousands while it starts, and a reflecting encoder makes
// garbage of each, for which the heap of so small a process would grow by half. text must be valid UTF-8.
func appendLine(to []byte, at time.Time, text []byte) []byte {
	to = append(to, `{"line":{"at":"`...)
	to = at.AppendFormat(to, time.RFC3339Nano)
	to = append(to, `","text":"`...)
	for _, c := range text {
		switch {
		case c == '"', c == '\\':
			to = append(to, '\\', c)
		case c < ' ':
			to = fmt.Appendf(to, `\u%04x`, c)
		default:
			to = append(to, c)
		}
	}
	return append(to, `"}}`...)
}
