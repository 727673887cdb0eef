package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// supervises says that a command line is that of exec, which must be as small as it can be.
func supervises(argv []string) bool { return len(argv) > 1 && argv[1] == "exec" }

// oneProcessor is what process_linux.go adds to our environment, for Go's runtime alone.
const oneProcessor = "GOMAXPROCS=01"

// exited is the exit status of the server, which is ours. It is no mistake, and nothing is printed for it.
type exited int

func (e exited) Error() string { return fmt.Sprintf("the server ended with %d", int(e)) }

// superviseGCPercent keeps the heap of a process small that allocates next to nothing.
const superviseGCPercent = 20

func newExec() *cobra.Command {
	grace := superviseGrace
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG...]",
		Short: "Run a server with the watchdog beside it, as the one process of a container",
		Long: "Run a server with the watchdog beside it, as the one process of a container.\n\n" +
			"COMMAND runs as it would by itself: signals are passed on to it, its exit code is that of the container, orphans are\n" +
			"taken in. Beside it runs `gpu-watchdog run`, which is started again whatever it ends of: nothing that happens to it\n" +
			"touches the server. Settings that it refuses leave the pod unwatched, and the log says so every minute.\n\n" +
			"SIGTERM gives the server the time of --grace; then it is killed, for vLLM never ends while a client keeps its stream\n" +
			"open. On a RunPod pod, where the end of a container is followed by its next start and billed on, a server that failed\n" +
			"is started again here, in pauses that grow, and one that is done (exit code 0) leaves the watchdog to stop the pod.\n\n" +
			"The server's environment holds none of the watchdog's variables, nor RUNPOD_API_KEY.\n" +
			"Exit code: the server's, 128 + n where signal n ended it; 127 and 126 where it cannot be started; 2 for wrong use.",
		Example: "  gpu-watchdog exec -- vllm serve Qwen/Qwen3-8B --enable-server-load-tracking\n" +
			"  gpu-watchdog exec --grace 25s -- vllm serve org/model --shutdown-timeout 20\n" +
			"  ENTRYPOINT [\"gpu-watchdog\", \"exec\", \"--\", \"vllm\", \"serve\"]",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.ArgsLenAtDash() != 0 || len(args) == 0:
				return wrongUse{errors.New("exec: write the server's command behind --, as in: gpu-watchdog exec -- vllm serve MODEL")}
			case grace <= 0:
				return wrongUse{fmt.Errorf("--grace %s must be above 0", grace)}
			}
			return supervise(cmd.Context(), args, grace)
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", grace, "how long the server may take to end after SIGTERM before it is killed; keep it below what the platform grants")
	return cmd
}

// keepTiny holds the runtime to what waiting for two processes needs, and gives back what the start has left.
func keepTiny() {
	debug.SetGCPercent(superviseGCPercent)
	runtime.GOMAXPROCS(1)
	debug.FreeOSMemory()
}

// sayer writes lines as the watchdog writes its own. What it returns second waits for them at the end.
func sayer(out *os.File) (say func(level, message string, facts ...any), sync func() error) {
	cfg := config.Config{LogFormat: config.LogJSON}
	if format := os.Getenv(config.Prefix + "LOG_FORMAT"); format == string(config.LogConsole) || format == "" && term.IsTerminal(int(out.Fd())) {
		cfg.LogFormat = config.LogConsole
	}
	log := newLogger(cfg, newPatientLog(out, patientFew))
	return func(level, message string, facts ...any) {
		severity := zapcore.InfoLevel
		switch level {
		case "error":
			severity = zapcore.ErrorLevel
		case "warn":
			severity = zapcore.WarnLevel
		}
		log.Log(severity, message, fieldsOf(facts)...)
	}, log.Sync
}

// fieldsOf makes fields of names and values in turn. zap's own way to do that would be 70 kB of program for the three kinds that occur.
func fieldsOf(facts []any) (fields []zap.Field) {
	for i := 0; i+1 < len(facts); i += 2 {
		name := fmt.Sprint(facts[i])
		switch value := facts[i+1].(type) {
		case int:
			fields = append(fields, zap.Int(name, value))
		case float64:
			fields = append(fields, zap.Float64(name, value))
		default:
			fields = append(fields, zap.String(name, fmt.Sprint(value)))
		}
	}
	return fields
}

// restarts says that a server that failed is started again here: on a pod of RunPod's, but not on a serverless worker, whose end
// is its platform's to handle.
func restarts(getenv func(string) string) bool {
	return getenv("RUNPOD_POD_ID") != "" && getenv("RUNPOD_ENDPOINT_ID") == ""
}

// interrupted is how a supervisor ends that was asked to before it had started anything.
func interrupted(ctx context.Context) error {
	if ctx.Err() != nil {
		return exited(128 + 15)
	}
	return nil
}

const superviseGrace = 8 * time.Second
