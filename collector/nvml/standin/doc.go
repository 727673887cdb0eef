// Package standin builds and steers a stand-in for NVIDIA's libnvidia-ml.so.1: an ordinary shared library that follows
// NVML's ABI and answers what a control file says. Tests, the demo, end-to-end scripts and benches watch it through the
// real go-nvml, in this process or another; nothing in the daemon imports this package. It must not import go-nvml or
// anything of this project, so that it cannot share a mistake with what it tests.
//
// Build compiles the library, which takes a C compiler; Script writes the control file. A program that loads the
// library finds the file by NVML_STANDIN_FILE (Variable) and follows every change of it from the next call on. A
// process can load one such library in its life: NVML's bindings never let go of the first.
//
// # The control file
//
// One line, one fact; # begins a comment; what is not said has a default. Instants are Unix microseconds, so that a
// shell can write `date +%s%6N`. Replace the file by a rename, since a reader may come at any moment.
//
//	gpus N                     how many GPUs (0 to 16; 1)
//	init CODE                  what nvmlInit returns (0)
//	code CALL CODE             what a call returns, on every GPU (0); CALL is the exported name
//	hang CALL                  a call does not return while this line stands
//	trace PATH                 append a line "CALL INDEX" to PATH for every call (INDEX -1: no GPU concerned)
//	gpu I uuid TEXT            and likewise: name TEXT
//	gpu I level FROM PERCENT   utilisation from an instant on, in the ring and as GetUtilizationRates (0)
//	gpu I burst FROM TO PERCENT  in the ring alone; however short, the sample of its period has it
//	gpu I rate PERCENT         what GetUtilizationRates says instead of the level
//	gpu I memory_rate PERCENT  and likewise: power_mw, memory_used, memory_total (bytes)
//	gpu I energy FROM MJ       energy: MJ at an instant, and from there on as power_mw says
//	gpu I lost CODE            every call on this GPU returns CODE
//	gpu I code CALL CODE       one call on this GPU returns CODE
//	gpu I mig MODE             1: MIG, utilisation is not supported; 2: MIG, utilisation reads 0 or what it is told
//	gpu I slots N              the ring's length in samples (72), and likewise: period_us (166667)
//	gpu I exact 1              the sizing call tells how many samples there are, not how many fit
//	gpu I dry 1                samples of 0 never enter the ring
//	gpu I since_us T           the ring holds nothing older, and likewise: offset_us (signed) added to every stamp
//	gpu I value_type N         NVML's number of the type that sample values have (1, unsigned int)
package standin
