package wrapped

import (
	"os"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }
