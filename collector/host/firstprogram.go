package host

import (
	"path/filepath"
	"strings"
)

// FirstProgram names what runs as the container's first process: the program's own name without its folder, and the first of its
// arguments that is no option, where that is one plain word ("run" of "gpu-watchdog run"). Both are empty where it cannot be seen.
// Arguments may hold secrets, so no other is told.
func FirstProgram(root string) (name, word string) {
	line, err := readBounded(under(root, "/proc/1/cmdline"), maxProcFile)
	if err != nil {
		return "", ""
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	if args[0] == "" {
		return "", ""
	}
	name = filepath.Base(args[0])
	for _, arg := range args[1:] {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if len(arg) <= 16 && !strings.ContainsFunc(arg, func(r rune) bool { return r < 'a' || r > 'z' }) {
			word = arg
		}
		break
	}
	return name, word
}
