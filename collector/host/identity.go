package host

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Where the identity of a start comes from.
const (
	SourcePodUID      = "pod_uid"
	SourceStartIDFile = "start_id_file"
)

// networkVolume is where RunPod mounts a network volume.
const networkVolume = "/workspace"

// defaultStartIDFile lies on the container's disk, which a stop of the pod empties.
const defaultStartIDFile = "/var/lib/gpu-watchdog/start-id"

// IdentityConfig says where to look.
type IdentityConfig struct {
	// PodUID is POD_UID of our environment; empty where it is not set.
	PodUID string
	// File is the configured START_ID_FILE and then the only place; empty tries the default ones.
	File string
	// Volumes are folders that may lie on a volume (DIR); /workspace always counts as one.
	Volumes []string
	// TempDir holds the second of the default places; empty is the system's folder for temporary files.
	TempDir string
	// Root is where /proc and the first of the default places are looked for; empty is "/".
	Root string
}

// Identity is what is known of this start of the pod.
type Identity struct {
	// ID is the same for as long as the pod was not stopped in between; empty is unknown, and then nothing may ever be
	// stopped.
	ID string
	// New: no earlier watchdog ran in this start. It is told by the start-id file only; with a pod UID it is false, and
	// the remembered ID tells.
	New bool
	// Source is SourcePodUID or SourceStartIDFile; empty where ID is.
	Source string
	// Path is the start-id file in use.
	Path string
	// ContainerStart is the age of PID 1 at the moment of the call.
	ContainerStart watchdog.Maybe[time.Duration]
	// ContainerRestarted: ID is an old one, and yet PID 1 is another process than when it was last read.
	ContainerRestarted bool
	// BootID is the kernel's own identity of this boot of the machine; empty where it gives none.
	BootID string
	// Warning says, for people, what makes this identity less than certain.
	Warning string
}

// podUIDPattern holds every UID that Kubernetes gives. What does not match may be an unexpanded "$(POD_UID)", which
// would be the same on every pod.
var podUIDPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)

// StartIdentity tells a resumed pod from a restarted watchdog.
//
// Where POD_UID is set it is the identity. Else it is a random id in a file on the container's disk, which is lost when
// the pod is stopped. A file from before a reboot of the machine, or one that is not whole, is replaced by a new id:
// taking an old start for a new one only sets the idle clock to 0. On a volume the file outlives the pod, so there
// another PID 1 is a new start too.
//
// The error says which paths were tried and what to do; the Identity beside it has no ID, but all else that is known.
// It may wait up to two seconds for another watchdog that writes the same file.
func StartIdentity(cfg IdentityConfig) (Identity, error) {
	first := readFirstProcess(cfg.Root)
	out := Identity{ContainerStart: first.age, BootID: bootID(cfg.Root)}
	if uid := strings.TrimSpace(cfg.PodUID); podUIDPattern.MatchString(uid) {
		out.ID, out.Source = uid, SourcePodUID
		return out, nil
	} else if uid != "" {
		out.warn("POD_UID is set to %.40q, which is no pod's UID: using a start-id file instead", uid)
	}

	paths, volumes := cfg.places()
	var failed []error
	for _, path := range paths {
		volume := volumes[path]
		file := startIDFile{path: path, boot: out.BootID, first: first.started, outlives: volume != ""}
		got, err := file.settle()
		if err != nil {
			failed = append(failed, fmt.Errorf("start-id file %s: %w", path, err))
			continue
		}
		out.ID, out.Source, out.Path = got.id, SourceStartIDFile, path
		out.New, out.ContainerRestarted = got.isNew, got.restarted
		if volume != "" {
			out.warn("the start-id file %s lies on a volume (%s): cannot tell a resumed pod from a restarted watchdog; "+
				"set WATCHDOG_START_ID_FILE to a file on the container's own disk", path, volume)
		}
		if got.unwritten != nil {
			out.warn("start-id file %s: %v: the restart of the container will be seen again at the next start", path, got.unwritten)
		}
		return out, nil
	}
	return out, fmt.Errorf("identity of this start: %w: nothing will be stopped; set WATCHDOG_START_ID_FILE to a file "+
		"that user %d may write, on the container's own disk, or POD_UID to the pod's UID", oneLine(failed), os.Getuid())
}

// places are the files that may hold the id, the best first, and the volume of each that lies on one.
func (c IdentityConfig) places() (paths []string, volumes map[string]string) {
	paths = []string{c.File}
	if c.File == "" {
		temp := c.TempDir
		if temp == "" {
			temp = os.TempDir()
		}
		paths = []string{under(c.Root, defaultStartIDFile), filepath.Join(temp, "gpu-watchdog", "start-id")}
	}
	volumes = map[string]string{}
	for _, path := range paths {
		volumes[path] = volumeOf(c.Root, path, append([]string{networkVolume}, c.Volumes...))
	}
	// A place that a stop empties comes before one that it does not.
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(min(len(volumes[a]), 1), min(len(volumes[b]), 1)) })
	return paths, volumes
}

func (i *Identity) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if i.Warning != "" {
		text = i.Warning + "; " + text
	}
	i.Warning = text
}

// oneLine joins errors as errors.Join does, but on one line.
func oneLine(errs []error) error {
	var out error
	for _, err := range errs {
		if out == nil {
			out = err
			continue
		}
		out = fmt.Errorf("%w; %w", out, err)
	}
	if out == nil {
		out = errors.New("no place to look")
	}
	return out
}

// bootID is the kernel's random identity of this boot, or empty.
func bootID(root string) string {
	b, err := readBounded(under(root, "/proc/sys/kernel/random/boot_id"), maxProcFile)
	if err != nil {
		return ""
	}
	id := strings.TrimSpace(string(b))
	if !bootIDPattern.MatchString(id) {
		return ""
	}
	return id
}
