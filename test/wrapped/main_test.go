package wrapped

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var binary string

func TestMain(m *testing.M) {
	if signal.Ignored(syscall.SIGHUP) { // by nohup: what is started here must not inherit that
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(program.Main(m, &binary))
}
