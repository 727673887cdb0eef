package standin

import (
	"context"
	_ "embed" // standin.c
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

//go:embed standin.c
var source []byte

// Library is the file name, and the soname, of the built library: the one that NVML has.
const Library = "libnvidia-ml.so.1"

// ErrNoCompiler is what Build's error wraps where there is no C compiler.
var ErrNoCompiler = errors.New("no C compiler: install gcc or clang, or set CC")

const compileDeadline = 2 * time.Minute

var symbol = regexp.MustCompile(`^nvml[A-Za-z0-9_]+$`)

// Build compiles the stand-in into dir, which must exist, as Library, and returns its path. A variant is "old" (a
// driver of about 2014: the first version of each name, and few of them) or "without:SYMBOL"; give each set of variants
// a folder of its own. The compiler is $CC, else cc, gcc or clang.
func Build(dir string, variant ...string) (path string, err error) {
	flags := []string{"-x", "c", "-O2", "-fPIC", "-shared", "-pthread", "-Wl,-soname," + Library}
	for _, v := range variant {
		name, without := strings.CutPrefix(v, "without:")
		switch {
		case v == "old":
			flags = append(flags, "-DOLD_DRIVER")
		case without && symbol.MatchString(name):
			flags = append(flags, "-DWITHOUT_"+name)
		default:
			return "", fmt.Errorf(`build the NVML stand-in: unknown variant %q: use "old" or "without:nvmlSymbol"`, v)
		}
	}
	compiler, err := findCompiler()
	if err != nil {
		return "", fmt.Errorf("build the NVML stand-in: %w", err)
	}
	path = filepath.Join(dir, Library)
	ctx, cancel := context.WithTimeout(context.Background(), compileDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, compiler[0], append(append(compiler[1:], flags...), "-o", path, "-")...)
	cmd.Stdin = strings.NewReader(string(source))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the NVML stand-in: %s: %w: %s", compiler[0], err, out)
	}
	return path, nil
}

// findCompiler returns the compiler and the arguments that CC may bring along ("ccache gcc").
func findCompiler() ([]string, error) {
	if cc := strings.Fields(os.Getenv("CC")); len(cc) > 0 {
		if _, err := exec.LookPath(cc[0]); err != nil {
			return nil, fmt.Errorf("%w (CC=%q is not on PATH)", ErrNoCompiler, cc[0])
		}
		return cc, nil
	}
	for _, name := range []string{"cc", "gcc", "clang"} {
		if _, err := exec.LookPath(name); err == nil {
			return []string{name}, nil
		}
	}
	return nil, ErrNoCompiler
}
