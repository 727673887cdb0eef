package config

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Prefix begins the name of every variable that gpu-watchdog is configured by.
const Prefix = "WATCHDOG_"

// Config is a checked configuration. Make one with Load only: the zero Config is no valid configuration.
//
// Each field is one variable. Its comment is the text for users. Tags: env is the name without the prefix; envDefault
// is the default, or, where it depends on the machine, default describes it; type names what is accepted; min and over
// bound a duration from below, inclusive or not.
type Config struct {
	// Watch, decide and log as always, but never ask anyone to stop the pod. A stop that is due is logged with the
	// verdict `would_stop`.
	DryRun bool `env:"DRY_RUN" envDefault:"false" type:"true or false"`

	// The key of this pod's history, and the name of its folder under WATCHDOG_DIR. Pods that share a volume each need
	// a name of their own. At most 128 ASCII letters, digits, dots, underscores and hyphens. By default the name is
	// derived from the pod: a slash or any other character that is not allowed becomes a hyphen. On Kubernetes the owner is
	// told by POD_NAME where a Deployment made the pod; the own name of any other pod stands in for it, as that of a
	// StatefulSet's pod, which is the same each time.
	Name string `env:"NAME" default:"the pod's id on RunPod, else namespace-owner on Kubernetes, else the host name" type:"name"`

	// Time from one decision to the next. GPU samples are fetched from the driver at least every 5s whatever this is,
	// so a long interval misses no burst of work; it only delays the answer. The shortest idle time that can lead to a
	// stop is three intervals.
	CheckInterval time.Duration `env:"CHECK_INTERVAL" envDefault:"5s" type:"duration" min:"100ms"`

	// Folder for what must be remembered: `DIR/NAME/memory.json`. On a volume it survives the stop of the pod; on the
	// container's own disk only a restart of the watchdog. An absolute path.
	Dir string `env:"DIR" default:"/workspace/.gpu-watchdog where /workspace is mounted, else /var/lib/gpu-watchdog" type:"path"`

	// The vLLM servers to watch, separated by commas: `http://127.0.0.1:8000,http://127.0.0.1:8001`. Each is the address
	// of the server itself, without `/v1` or `/metrics`. `none`: this pod runs no such server, and nothing is scraped.
	VLLMURLs ServerURLs `env:"VLLM_URLS" envDefault:"http://127.0.0.1:8000" type:"URLs, or none"`

	// Which GPUs are evidence of work, separated by commas: indices as nvidia-smi counts them (`0,1`) or UUIDs
	// (`GPU-…`). `none`: the GPU says nothing about this pod, because others share it or it cannot be seen from here.
	GPUs Selection `env:"GPUS" envDefault:"all" type:"indices or UUIDs, all, or none"`

	// File for a random id of this start of the pod, where no Kubernetes pod UID says it already. It must lie on the
	// container's own disk, which a stop erases, never on a volume: that is how a resumed pod is told from a restarted
	// watchdog. Where it cannot be written, nothing is ever stopped. An absolute path.
	StartIDFile string `env:"START_ID_FILE" default:"/var/lib/gpu-watchdog/start-id, else gpu-watchdog/start-id in the temporary folder" type:"path"`

	// NVIDIA's management library: a bare name that the system's loader looks up, or an absolute path.
	NVMLLibrary string `env:"NVML_LIBRARY" envDefault:"libnvidia-ml.so.1" type:"path"`

	// GPU utilisation, in percent, from which on a sample counts as work: a number above 0 and up to 100 (`7` or `7%`).
	// `auto` uses 5% until it has measured this pod's idle floor, then that floor, held between 3% and 7%. `dynamic` is
	// the larger of 3% and a tenth of the mean of the last ten checks.
	IdleThreshold IdleThreshold `env:"IDLE_THRESHOLD" envDefault:"auto" type:"percent, auto, or dynamic"`

	// More TCP ports of this pod whose traffic is work, separated by commas: `8888,2222`. On them every byte counts, health
	// checks and scrapes as well, so name neither vLLM's port, whose requests are counted already, nor the watchdog's own
	// ones, which are refused: whoever reads its page would keep the pod awake. `none`: no port beside vLLM's.
	Ports Ports `env:"PORTS" envDefault:"none" type:"ports, or none"`

	// CPU load from which on it is work, in cores above what this pod uses while it idles: `1.5`. `0`: the CPU is no
	// evidence of work, as by default where a vLLM server is watched, which tells more itself. Without such a server it
	// is half a core: a job of one thread uses 0.95 to 1.0 cores, and would mostly pass for idle at a whole one.
	CPUBusy Cores `env:"CPU_BUSY" default:"0; 0.5 where WATCHDOG_VLLM_URLS is none" type:"cores"`

	// The largest request, in tokens of its prompt and of its answer, that is a monitor's probe and no work: a window in
	// which every request is certain to be that small counts as quiet. vLLM tells sums only, so several probes between two
	// looks must together be no larger than one may be, but for a token of each: a monitor that asks more often than every
	// WATCHDOG_CHECK_INTERVAL needs a larger number. From 0 to 100000. `0`: every request is work. Regular probes are named
	// in any case, with the number to set here.
	ProbeMaxTokens int `env:"PROBE_MAX_TOKENS" envDefault:"0" type:"tokens"`

	// How the idle time that leads to a stop is chosen. `breakeven`: the time after which idling has cost as much as a
	// cold start, computed from price, cold start and its penalty. `fixed`: WATCHDOG_IDLE_LIMIT. `seed`: the rule of the
	// project's first document, which counts checks. `auto`: fixed where WATCHDOG_IDLE_LIMIT is set, else breakeven.
	Policy Policy `env:"POLICY" envDefault:"auto" type:"auto, breakeven, seed, or fixed"`

	// Idle time that leads to a stop under WATCHDOG_POLICY `fixed` and `seed`; setting it makes `auto` fixed, and
	// contradicts `breakeven`. A duration above 0 (`10m`), or a bare whole number of checks (`12` is one minute at an interval of 5s).
	IdleLimit IdleLimit `env:"IDLE_LIMIT" envDefault:"10m" type:"duration > 0, or a number of checks"`

	// The shortest idle time that a computed limit may ask for, so that a cheap cold start does not stop the pod in
	// every pause.
	IdleMin time.Duration `env:"IDLE_MIN" envDefault:"5m" type:"duration" min:"0s"`

	// The longest idle time that a computed limit may ask for; `0` sets no bound. Not below a WATCHDOG_IDLE_MIN that was
	// set; its default gives way.
	IdleMax time.Duration `env:"IDLE_MAX" envDefault:"0" type:"duration" min:"0s"`

	// The pod is not stopped within this time of the server's first readiness, however idle it is.
	MinRuntime time.Duration `env:"MIN_RUNTIME" envDefault:"10m" type:"duration" min:"0s"`

	// How long a server may take to get ready. Until then its loading counts as work. One that was not ready by then is
	// broken where it refuses connections (see WATCHDOG_BROKEN_LIMIT); where it merely does not answer it is an unknown, with
	// an alarm. A source of evidence that has not answered once by then is not waited for any longer.
	StartupTimeout time.Duration `env:"STARTUP_TIMEOUT" envDefault:"30m" type:"duration" over:"0s"`

	// How long something broken is borne with. A pod whose server died, crashes again and again, or was not ready within
	// WATCHDOG_STARTUP_TIMEOUT is stopped after this time in which GPU, CPU and network stood still and nobody used a
	// terminal. A source of evidence that has stopped answering is no longer required after this time, and requests that
	// have made no progress for this long, with GPU and CPU at rest, no longer count as work.
	BrokenLimit time.Duration `env:"BROKEN_LIMIT" envDefault:"30m" type:"duration" over:"0s"`

	// The pod is stopped after this time in which it could not be told whether it works. `0`: never, there is only an
	// alarm, which is repeated.
	BlindLimit time.Duration `env:"BLIND_LIMIT" envDefault:"0" type:"duration" min:"0s"`

	// Hours in which the pod is kept, however idle it is: days, hours and a time zone, as in
	// `mon-fri 09:00-18:00 Asia/Seoul`. Several ranges are separated by semicolons:
	// `mon-fri 09:00-12:00, 13:00-18:00; sat 22:00-02:00 Europe/Berlin`. A zone counts for every range before it that has
	// none; without any the hours are those of UTC. Zones are looked up in this system's package tzdata. `none`: no such hours. A cap (WATCHDOG_MAX_RUNTIME,
	// WATCHDOG_MAX_SPEND_PER_DAY) stops the pod even then.
	KeepHours watchdog.KeepHours `env:"KEEP_HOURS" envDefault:"none" type:"ranges, or none"`

	// The pod is not stopped within this time of the last use of a terminal in it: something was typed there, or a program
	// that is no server wrote to it. One that is merely open does not count. At most 24h; `0`: terminals hold nothing.
	TerminalGuard time.Duration `env:"TERMINAL_GUARD" envDefault:"30m" type:"duration" min:"0s"`

	// How long before a stop it is announced, in the log and in /status; at most half of the idle limit. The stop comes
	// when the limit is reached, not later. `0`: no announcement.
	WarnBefore time.Duration `env:"WARN_BEFORE" envDefault:"2m" type:"duration" min:"0s"`

	// The longest that one start of the pod may last, whatever it does: it is stopped then, announced WATCHDOG_WARN_BEFORE
	// ahead, and requests in flight get up to two minutes to end. Neither hold nor WATCHDOG_KEEP_HOURS prevents that. `0`:
	// no cap.
	MaxRuntime time.Duration `env:"MAX_RUNTIME" envDefault:"0" type:"duration" min:"0s"`

	// What the pod may cost from one midnight to the next (UTC), in US dollars: at that amount it is stopped as by
	// WATCHDOG_MAX_RUNTIME. From 0 to 24000; `0`: no cap. It needs a price: WATCHDOG_PRICE, or RunPod's, for which a key
	// is needed.
	MaxSpendPerDay USDPerDay `env:"MAX_SPEND_PER_DAY" envDefault:"0" type:"USD per day"`

	// What the running pod costs, in US dollars per hour, without disks: `1.50`. From 0 to 1000. Without it the
	// provider is asked; while nobody knows, decisions rest on times alone and amounts of money are unknown.
	Price watchdog.Maybe[float64] `env:"PRICE" default:"from the provider" type:"USD per hour"`

	// What the disks cost while the pod runs, in US dollars per hour. From 0 to 1000.
	StorageRunning float64 `env:"STORAGE_RUNNING" envDefault:"0" type:"USD per hour"`

	// What the disks cost while the pod is stopped, in US dollars per hour. From 0 to 1000. Where a stopped hour is not
	// cheaper than a running one, idleness never stops the pod.
	StorageStopped float64 `env:"STORAGE_STOPPED" envDefault:"0" type:"USD per hour"`

	// The whole of a cold start, from wanting the pod to its first answer, as long as too few have been measured here.
	ColdStart time.Duration `env:"COLD_START" envDefault:"3m" type:"duration" over:"0s"`

	// The part of a cold start that cannot be seen from inside the pod, such as queueing and pulling the image. It is
	// added to each one that is measured; WATCHDOG_COLD_START contains it already.
	ColdStartUnseen time.Duration `env:"COLD_START_UNSEEN" envDefault:"30s" type:"duration" min:"0s"`

	// What one cold start costs the people who wait for it, on top of the pod's own time: `3x` is three times that
	// time's cost, `$0.25` an amount in US dollars (quote it in a shell: `'$0.25'`). From 0 to 1000. A higher penalty
	// means fewer stops.
	ColdStartPenalty Penalty `env:"COLD_START_PENALTY" envDefault:"10x" type:"factor (3x) or US dollars ($0.25)"`

	// Through what the pod is stopped: `runpod` (its API), `kubernetes` (what owns the pod is scaled to none), `webhook`
	// (WATCHDOG_STOP_URL) and `command` (WATCHDOG_STOP_COMMAND). Several, separated by commas, are tried in that order.
	// `auto` is RunPod's API on a RunPod pod and nothing elsewhere, where the watchdog then only watches.
	Stop StopTargets `env:"STOP" envDefault:"auto" type:"auto, or a list of runpod, kubernetes, webhook, command"`

	// What RunPod is asked to do. `stop` keeps the pod and its volume disk, for which it bills on, and the pod can be
	// started again. `terminate` deletes the pod, for good, and is the first of two locks: where data would be deleted with
	// it, as on a volume disk of the pod's own, it is refused and the pod goes on. `terminate-and-lose-data` opens the
	// second lock and deletes the pod with all that is on it. A network volume outlives the pod in every case. Kubernetes
	// is scaled down whatever this says; a webhook and a command are told the word.
	StopAction StopAction `env:"STOP_ACTION" envDefault:"stop" type:"stop, terminate, or terminate-and-lose-data"`

	// Key for RunPod's API. A restricted key of your account with write access to pods may do more than the one that
	// RunPod injects, which is taken where this is not set.
	RunpodAPIKey Secret `env:"RUNPOD_API_KEY" default:"RUNPOD_API_KEY, as RunPod injects it" type:"secret"`

	// Address of RunPod's REST API. The key is sent there, so plain http is accepted for loopback addresses only.
	RunpodAPIURL APIURL `env:"RUNPOD_API_URL" envDefault:"https://api.runpod.io/v2" type:"URL"`

	// Address of RunPod's GraphQL API, the second way to stop a pod. Plain http for loopback addresses only.
	RunpodGraphQLURL APIURL `env:"RUNPOD_GRAPHQL_URL" envDefault:"https://api.runpod.io/graphql" type:"URL"`

	// Which of the owners of this pod WATCHDOG_STOP `kubernetes` scales to none, as kind/name: `deployment/llama`, the kind
	// as kubectl takes it. It must own this pod.
	KubernetesTarget KubernetesTarget `env:"KUBERNETES_TARGET" default:"the highest owner of this pod that can be scaled" type:"kind/name"`

	// Where WATCHDOG_STOP `webhook` posts its request to stop the pod. It is treated as a secret: who has it may stop the
	// pod. Plain http is accepted within the own network only.
	StopURL HookURL `env:"STOP_URL" default:"none" type:"URL, a secret"`

	// The program that WATCHDOG_STOP `command` runs to stop the pod, and its arguments: words between blanks, which may be
	// quoted, or a JSON array of strings. No shell reads it; whoever wants one writes `sh -c '…'`. Its arguments are never
	// printed.
	StopCommand Command `env:"STOP_COMMAND" default:"none" type:"command"`

	// Where people are told of stops and of what goes wrong: a hook of Slack or Discord, which are told by their host, or
	// any other address, which gets JSON. It is treated as a secret: who has it can write there. Plain http is accepted
	// within the own network only.
	NotifyURL HookURL `env:"NOTIFY_URL" default:"none" type:"URL, a secret"`

	// Key that signs, by HMAC-SHA256, what is posted to WATCHDOG_STOP_URL and WATCHDOG_NOTIFY_URL, so that the receiver
	// knows who sent it. Slack and Discord get no signature. Printable ASCII without blanks.
	WebhookSecret Secret `env:"WEBHOOK_SECRET" default:"none: nothing is signed" type:"secret"`

	// Address, as host:port, of the page, /status, /metrics and the health checks. They can only be read, but by
	// everyone who reaches the address: `0.0.0.0:9877` opens them to the network. Where the port is taken, the watch
	// goes on without them and tries again.
	Listen ListenAddress `env:"LISTEN" envDefault:"127.0.0.1:9877" type:"host:port"`

	// Address, as host:port, at which vLLM's spans (OTLP, over gRPC and HTTP on one port) and posted rows of requests
	// (`POST /v1/requests`) are taken in. Only processes on this machine are answered, whatever the address. Where the
	// port is taken, the watch goes on without them and tries again. `off`, or set to nothing: nothing is taken in.
	IngestListen IngestAddress `env:"INGEST_LISTEN" envDefault:"127.0.0.1:4317" type:"host:port, or off" empty:"off"`

	// The unix socket at which orders are taken: hold, release, postpone and stop. It is for our own user and root alone.
	// An absolute path of at most 107 bytes, in a folder that is there. Where it cannot be had, the watch goes on without
	// it and tries again.
	ControlSocket string `env:"CONTROL_SOCKET" default:"/run/gpu-watchdog.sock, else gpu-watchdog.sock in XDG_RUNTIME_DIR, else gpu-watchdog-UID.sock in the temporary folder" type:"path"`

	// The time to the first token below which a request keeps the promise made to its user; goodput is what kept it.
	SLATTFT time.Duration `env:"SLA_TTFT" envDefault:"2s" type:"duration" over:"0s"`

	// The tokens a second that the server should reach, all requests together, while it serves any; above 0.
	SLATPS TokenRate `env:"SLA_TPS" envDefault:"300" type:"tokens/s"`

	// The lowest severity of the log lines that are written.
	LogLevel LogLevel `env:"LOG_LEVEL" envDefault:"info" type:"debug, info, warn, or error"`

	// `json`: one JSON object a line, for programs. `console`: for people.
	LogFormat LogFormat `env:"LOG_FORMAT" default:"json; console on a terminal" type:"json, or console"`

	origins  map[string]Origin
	warnings []string
	tempDir  string
}

// Origin says where a setting came from.
type Origin string

// The origins.
const (
	// FromDefault: not set anywhere.
	FromDefault Origin = "default"
	// FromEnvironment: the variable itself.
	FromEnvironment Origin = "environment"
	// FromFile: the file that the variable's _FILE twin names.
	FromFile Origin = "file"
	// FromRunpod: the key that RunPod injects into its pods.
	FromRunpod Origin = "RUNPOD_API_KEY"
)

// Origin returns where the variable with this full name ("WATCHDOG_PRICE") came from; "" for a name that is none.
func (c Config) Origin(variable string) Origin { return c.origins[variable] }

// Explicit says that the variable with this full name was set by somebody, whatever its value.
func (c Config) Explicit(variable string) bool {
	o := c.origins[variable]
	return o != "" && o != FromDefault
}

// Warnings are remarks on a valid configuration that a person should read once, in a stable order.
func (c Config) Warnings() []string { return append([]string(nil), c.warnings...) }
