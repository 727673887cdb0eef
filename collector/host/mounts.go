package host

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mountPoint is one line of /proc/self/mountinfo.
type mountPoint struct {
	path, device, kind string // device is "major:minor"
}

// volatileKinds are file systems that a stop of the pod empties, wherever they are mounted.
var volatileKinds = []string{"overlay", "tmpfs", "ramfs"}

// volumeOf names the volume on which a file lies, or nothing where it lies on the container's own disk. A volume is
// any mount but the root that also holds one of the folders known to be on one, so that both share their fate.
func volumeOf(root, file string, volumes []string) string {
	page, err := readBounded(under(root, "/proc/self/mountinfo"), maxProcFile)
	if err != nil {
		return ""
	}
	mounts := parseMounts(string(page))
	at, ok := mountOf(mounts, file)
	if !ok || at.path == "/" || slices.Contains(volatileKinds, at.kind) {
		return ""
	}
	for _, volume := range volumes {
		other, ok := mountOf(mounts, volume)
		if ok && other.path != "/" && (other.path == at.path || other.device == at.device) {
			return at.path
		}
	}
	return ""
}

// parseMounts reads lines of "id parent major:minor root mountpoint options [tags] - kind source options".
func parseMounts(page string) []mountPoint {
	var out []mountPoint
	for line := range strings.Lines(page) {
		before, after, found := strings.Cut(line, " - ")
		fields, behind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(behind) == 0 {
			continue
		}
		out = append(out, mountPoint{path: unescapeMount(fields[4]), device: fields[2], kind: behind[0]})
	}
	return out
}

// unescapeMount undoes the kernel's escapes of blank, tab, newline and backslash: a backslash and three octal digits.
func unescapeMount(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		code, err := strconv.ParseUint(after[:min(3, len(after))], 8, 8)
		if err != nil || len(after) < 3 {
			b.WriteByte('\\')
			s = after
			continue
		}
		b.WriteByte(byte(code))
		s = after[3:]
	}
}

// mountOf finds the mount that holds a path, links resolved as far as the path exists. Of mounts on the same point the
// last one covers the others.
func mountOf(mounts []mountPoint, path string) (mountPoint, bool) {
	path, err := resolve(path)
	if err != nil {
		return mountPoint{}, false
	}
	best, found := mountPoint{}, false
	for _, m := range mounts {
		inside := m.path == "/" || path == m.path || strings.HasPrefix(path, m.path+"/")
		if inside && len(m.path) >= len(best.path) {
			best, found = m, true
		}
	}
	return best, found
}

// resolve makes a path absolute and follows the links of that part of it which exists.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("make %s absolute: %w", path, err)
	}
	rest := ""
	for {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest), nil
		}
		parent := filepath.Dir(path)
		if parent == path {
			return filepath.Join(path, rest), nil
		}
		path, rest = parent, filepath.Join(filepath.Base(path), rest)
	}
}
