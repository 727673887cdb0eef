package house

import (
	"debug/elf"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var (
	built            sync.Once
	builtIn, builtAt string
	builtErr         error
)

// binary is gpu-watchdog as go build makes it here.
func binary(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if builtIn, builtErr = os.MkdirTemp("", "house-"); builtErr == nil {
			builtAt, builtErr = program.Build(builtIn)
		}
	})
	if builtErr != nil {
		t.Fatal(builtErr)
	}
	return builtAt
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

func TestProgramRunsInTheImagesOfVLLM(t *testing.T) {
	file, err := elf.Open(binary(t))
	if err != nil {
		t.Skipf("not a program of Linux: %v", err)
	}
	defer file.Close()

	t.Run("needs nothing but the C library", func(t *testing.T) {
		needed, err := file.ImportedLibraries()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range needed {
			if !slices.Contains([]string{"libc.so.6", "libresolv.so.2", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, name) {
				t.Errorf("needs %s, which an image need not have", name)
			}
		}
	})

	t.Run("binds lazily", func(t *testing.T) {
		for tag, bit := range map[elf.DynTag]uint64{elf.DT_FLAGS: uint64(elf.DF_BIND_NOW), elf.DT_FLAGS_1: uint64(elf.DF_1_NOW)} {
			values, err := file.DynValue(tag)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range values {
				if value&bit != 0 {
					t.Errorf("%v has the flag that binds every symbol at the start: NVML functions that an old driver lacks would end the program before main", tag)
				}
			}
		}
	})

	t.Run("needs no newer glibc than 2.34", func(t *testing.T) {
		// A program may need what the glibc that it is linked against has to offer: only Debian 12, which the Dockerfile
		// builds on, or older tells what the image will need.
		if here := glibc(t); older([2]int{2, 36}, here) {
			t.Skipf("linked against glibc %d.%d; the image is built on 2.36", here[0], here[1])
		}
		symbols, err := file.ImportedSymbols()
		if err != nil {
			t.Fatal(err)
		}
		versions := 0
		for _, symbol := range symbols {
			version, ok := strings.CutPrefix(symbol.Version, "GLIBC_")
			if !ok {
				continue
			}
			versions++
			if older([2]int{2, 34}, parseVersion(version)) {
				t.Errorf("%s needs GLIBC_%s: Ubuntu 22.04, under vLLM's images, has 2.35", symbol.Name, version)
			}
		}
		if versions == 0 {
			t.Error("no symbol names a version of glibc: is this the right file?")
		}
	})

	// Whatever executes a template may call any method by its name, so the linker keeps them all.
	t.Run("has no template engine", func(t *testing.T) {
		symbols, err := file.Symbols()
		if err != nil {
			t.Fatal(err)
		}
		main := false
		for _, symbol := range symbols {
			main = main || symbol.Name == "main.main"
			if strings.HasPrefix(symbol.Name, "html/template.") || strings.HasPrefix(symbol.Name, "text/template.(*Template).Execute") {
				t.Errorf("holds %s: 2.6 MB that become resident", symbol.Name)
			}
		}
		if !main {
			t.Error("has no main.main: the symbols were not read")
		}
	})
}

// glibc is the version of this machine's C library.
func glibc(t *testing.T) [2]int {
	t.Helper()
	out, err := exec.Command("getconf", "GNU_LIBC_VERSION").Output()
	if err != nil {
		t.Skipf("this machine has no glibc: %v", err)
	}
	return parseVersion(strings.TrimPrefix(strings.TrimSpace(string(out)), "glibc "))
}

func parseVersion(text string) (version [2]int) {
	for i, part := range strings.SplitN(text, ".", 3) {
		if i < len(version) {
			version[i], _ = strconv.Atoi(part)
		}
	}
	return version
}

func older(a, b [2]int) bool { return slices.Compare(a[:], b[:]) < 0 }
