package nvml

import "time"

// DefaultLibrary is the soname that the NVIDIA runtime puts into a container.
const DefaultLibrary = "libnvidia-ml.so.1"

const (
	// maxPollEvery is half of the 10 s after which the driver's ring is documented to wrap.
	maxPollEvery        = 5 * time.Second
	defaultRetryEvery   = 30 * time.Second
	defaultFiguresEvery = 4 * time.Second
)

// Config says what to read, and how often. The zero value watches every GPU with the default library.
type Config struct {
	// Library is a path or a soname; empty means DefaultLibrary.
	Library string
	// GPUs are the ones that count.
	GPUs Selection
	// PollEvery is how often the ring is drained when nobody reads; 0, or more than 5 s, means 5 s.
	PollEvery time.Duration
	// RetryEvery is how long to wait before NVML is initialised again where it could not be; 0 means 30 s. After a
	// loss the waits begin at an eighth of it and double up to twice of it.
	RetryEvery time.Duration
	// FiguresEvery is the age from which memory, power and energy are read again; 0 means 4 s. With looks 5 s apart
	// that is each time; with shorter intervals it bounds what they cost, since power alone takes a third of a
	// millisecond on some cards.
	FiguresEvery time.Duration
	// Driver asks for the driver's version too, once in a session (see Session): for people, not for the watch.
	Driver bool
}

// Session is what NVML says of itself; all of it is empty before the first good Read.
type Session struct {
	// Driver is the driver's version, as "580.95.05"; empty where Config does not ask for it, or the library does not tell.
	Driver string
	// Shown is how many GPUs there are, chosen or not.
	Shown int
}

func (c Config) withDefaults() Config {
	if c.Library == "" {
		c.Library = DefaultLibrary
	}
	if c.PollEvery <= 0 || c.PollEvery > maxPollEvery {
		c.PollEvery = maxPollEvery
	}
	if c.RetryEvery <= 0 {
		c.RetryEvery = defaultRetryEvery
	}
	if c.FiguresEvery <= 0 {
		c.FiguresEvery = defaultFiguresEvery
	}
	return c
}

// noneReason is what Read says under GPUS=none.
const noneReason = "GPUS=none: the GPU is no evidence here"
