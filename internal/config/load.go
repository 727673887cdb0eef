package config

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Options is what Load may know besides the environment. The zero Options is valid where NAME is set.
type Options struct {
	// ReadFile reads the file that a secret's _FILE variable names; nil means ReadSecretFile.
	ReadFile func(path string) ([]byte, error)
	// IsMounted says that a file system of its own is mounted at exactly this folder; nil means that none is.
	IsMounted func(path string) bool
	// OnTerminal: the log goes to a terminal.
	OnTerminal bool
	// Hostname is the machine's.
	Hostname string
	// TempDir is the temporary folder; "" means /tmp.
	TempDir string
	// RunpodPodID is RunPod's id of this pod; "" elsewhere.
	RunpodPodID string
	// RunpodAPIKey is the injected key where it was found elsewhere than in the environment that Load gets.
	RunpodAPIKey Secret
	// KubernetesNamespace and KubernetesOwner name the workload that owns this pod; "" elsewhere.
	KubernetesNamespace, KubernetesOwner string
	// KubernetesPod is the pod's own name there. Where nobody knows its owner, the owner is told by that name, or the name
	// stands in for it.
	KubernetesPod string
}

// injectedKey is RunPod's own variable for the key of a pod.
const injectedKey = "RUNPOD_API_KEY"

// notOurs are variables of systemd that share the prefix.
var notOurs = map[string]bool{"WATCHDOG_USEC": true, "WATCHDOG_PID": true}

var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[bool]():                    parseBool,
	reflect.TypeFor[time.Duration]():           parseDuration,
	reflect.TypeFor[float64]():                 parseUSDPerHour,
	reflect.TypeFor[watchdog.Maybe[float64]](): parseKnownUSDPerHour,
	reflect.TypeFor[ServerURLs]():              parseServerURLs,
	reflect.TypeFor[Selection]():               parseSelection,
	reflect.TypeFor[IdleThreshold]():           parseIdleThreshold,
	reflect.TypeFor[IdleLimit]():               parseIdleLimit,
	reflect.TypeFor[Penalty]():                 parsePenalty,
	reflect.TypeFor[int]():                     parseTokens,
	reflect.TypeFor[Ports]():                   parsePorts,
	reflect.TypeFor[Cores]():                   parseCores,
	reflect.TypeFor[watchdog.KeepHours]():      parseKeepHours,
	reflect.TypeFor[USDPerDay]():               parseUSDPerDay,
	reflect.TypeFor[StopTargets]():             parseStopTargets,
	reflect.TypeFor[StopAction]():              parseStopAction,
	reflect.TypeFor[KubernetesTarget]():        parseKubernetesTarget,
	reflect.TypeFor[HookURL]():                 parseHookURL,
	reflect.TypeFor[Command]():                 parseCommand,
	reflect.TypeFor[Secret]():                  parseSecret,
	reflect.TypeFor[APIURL]():                  parseAPIURL,
	reflect.TypeFor[ListenAddress]():           parseListenAddress,
	reflect.TypeFor[IngestAddress]():           parseIngestAddress,
	reflect.TypeFor[TokenRate]():               parseTokenRate,
	reflect.TypeFor[Policy]():                  choice(PolicyAuto, PolicyBreakEven, PolicySeed, PolicyFixed),
	reflect.TypeFor[LogLevel]():                choice(LogDebug, LogInfo, LogWarn, LogError),
	reflect.TypeFor[LogFormat]():               choice(LogJSON, LogConsole),
}

// Load reads the settings out of environ ("NAME=value" each, the first of a name counts) and checks them whole. Blanks
// around a value are dropped; a variable that is set to nothing counts as not set, with a warning, unless that has a meaning of its own. The error is an
// *Error with every mistake, and the Config is then of no use.
func Load(environ []string, opts Options) (Config, error) {
	l := loader{opts: opts.withDefaults(), set: map[string]string{}}
	l.cfg.origins = map[string]Origin{}
	l.cfg.tempDir = l.opts.TempDir
	injected := l.read(environ)
	l.readSecrets(injected)
	l.parse()
	l.fillDefaults()
	l.cfg.IdleLimit.Set = l.cfg.Explicit(Prefix + "IDLE_LIMIT")
	l.validate()
	if err := l.found.err(); err != nil {
		return Config{}, err
	}
	l.warn()
	return l.cfg, nil
}

func (o Options) withDefaults() Options {
	if o.ReadFile == nil {
		o.ReadFile = ReadSecretFile
	}
	if o.IsMounted == nil {
		o.IsMounted = func(string) bool { return false }
	}
	if o.TempDir == "" {
		o.TempDir = "/tmp"
	}
	return o
}

// loader is one run of Load.
type loader struct {
	opts  Options
	cfg   Config
	found problems
	// set holds the known variables that were set to something.
	set map[string]string
	// unknown counts the names that are no variable.
	unknown int
}

// read keeps the known variables, refuses the unknown ones, and returns RunPod's injected key.
func (l *loader) read(environ []string) (injected string) {
	seen := map[string]bool{}
	for _, line := range environ {
		name, value, ok := strings.Cut(line, "=")
		if !ok || seen[name] || notOurs[name] {
			continue
		}
		seen[name] = true
		value = strings.TrimSpace(value)
		switch {
		case name == injectedKey:
			injected = value
		case !strings.HasPrefix(name, Prefix):
		case !isVariable(name):
			l.unknown++
			l.found.add(clip(name), "", unknownText(name, l.unknown <= mostGuesses))
		case value == "" && emptyMeans(name) != "":
			l.set[name] = emptyMeans(name)
		case value == "":
			l.cfg.warnings = append(l.cfg.warnings, name+" is set but empty, which counts as not set")
		default:
			l.set[name] = value
		}
	}
	return injected
}

// emptyMeans is what the variable means when it is set to nothing.
func emptyMeans(variable string) string {
	for _, f := range fields {
		if f.Variable == variable {
			return f.empty
		}
	}
	return ""
}

// readSecrets settles where each secret comes from: the variable, its file, or the pod's injected key.
func (l *loader) readSecrets(injected string) {
	for _, f := range fields {
		if !f.Secret {
			continue
		}
		path, fromFile := l.set[f.Variable+fileSuffix]
		_, direct := l.set[f.Variable]
		switch {
		case fromFile && direct:
			l.found.add(f.Variable, "", "is set, and "+f.Variable+fileSuffix+" too; unset one of them")
			delete(l.set, f.Variable)
		case fromFile:
			value, err := secretFromFile(path, l.opts.ReadFile)
			if err != nil {
				l.refuse(f, f.Variable+fileSuffix, "", err)
				continue
			}
			l.set[f.Variable] = value
			l.cfg.origins[f.Variable] = FromFile
		case !direct && f.Variable == Prefix+injectedKey:
			l.takeInjected(f.Variable, injected)
		}
	}
}

// takeInjected uses RunPod's own key. Nobody chose it here, so one that cannot be a key is not a mistake to stop at.
func (l *loader) takeInjected(variable, injected string) {
	if injected == "" {
		injected = strings.TrimSpace(l.opts.RunpodAPIKey.Reveal())
	}
	if injected == "" {
		return
	}
	if _, err := parseSecret(injected); err != nil {
		l.cfg.warnings = append(l.cfg.warnings, injectedKey+" "+err.Error()+"; it is not used")
		return
	}
	l.set[variable] = injected
	l.cfg.origins[variable] = FromRunpod
}

// parse fills the fields from what is set and from the defaults in their tags.
func (l *loader) parse() {
	values := maps.Clone(l.set)
	for _, f := range fields {
		if f.Secret {
			delete(values, f.Variable+fileSuffix)
		}
	}
	err := env.ParseWithOptions(&l.cfg, env.Options{
		Environment: values,
		Prefix:      Prefix,
		FuncMap:     parsers,
		OnSet: func(variable string, value any, isDefault bool) {
			if l.cfg.origins[variable] != "" { // a secret's
				return
			}
			l.cfg.origins[variable] = FromDefault
			if _, isSet := l.set[variable]; isSet && !isDefault {
				l.cfg.origins[variable] = FromEnvironment
			}
		},
	})
	var all env.AggregateError
	if err != nil && !errors.As(err, &all) {
		all.Errors = []error{err}
	}
	for _, one := range all.Errors {
		var parse env.ParseError
		if f, ok := fieldNamed(one, &parse); ok {
			variable := f.Variable
			if l.cfg.origins[variable] == FromFile {
				variable += fileSuffix
			}
			l.refuse(f, variable, l.set[variable], parse.Err)
			continue
		}
		l.found.add(Prefix+"*", "", clip(one.Error()))
	}
}

func fieldNamed(err error, parse *env.ParseError) (Field, bool) {
	if !errors.As(err, parse) {
		return Field{}, false
	}
	for _, f := range fields {
		if f.name == parse.Name {
			return f, true
		}
	}
	return Field{}, false
}

// refuse records what a parser found wrong with a variable.
func (l *loader) refuse(f Field, variable, value string, err error) {
	if bare := bareNumber(""); errors.As(err, &bare) {
		byDefault, _ := time.ParseDuration(f.Default)
		l.found.add(variable, value, bare.explain(byDefault))
		return
	}
	if found := (flaws)(nil); errors.As(err, &found) {
		for _, one := range found {
			l.found.add(variable, one.value, one.text)
		}
		return
	}
	l.found.add(variable, "", "is refused: "+clip(err.Error()))
}
