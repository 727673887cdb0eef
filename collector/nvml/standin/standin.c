//go:build ignore

/*
 * A stand-in for libnvidia-ml.so.1: it follows NVML's ABI (names, argument order, struct layouts, return codes) without
 * NVIDIA's header, and answers what a control file says. doc.go describes the file's lines; the go:build line above only
 * keeps the go tool from compiling this file into the package.
 *
 * The ring of samples is a pure function of the real clock and the file, so it needs no thread and two processes that
 * read the same file see the same ring.
 *
 * Variants: -DWITHOUT_nvmlDeviceGetSamples (any exported name) leaves that symbol out; -DOLD_DRIVER leaves out all that
 * drivers of about 2014 did not have, the _v2 names included.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef OLD_DRIVER
#define WITHOUT_nvmlInit_v2
#define WITHOUT_nvmlDeviceGetCount_v2
#define WITHOUT_nvmlDeviceGetHandleByIndex_v2
#define WITHOUT_nvmlDeviceGetSamples
#define WITHOUT_nvmlDeviceGetTotalEnergyConsumption
#define WITHOUT_nvmlDeviceGetMigMode
#define WITHOUT_nvmlErrorString
#endif

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { GPU_UTILIZATION_SAMPLES = 1 };
enum { MAX_GPUS = 16, MAX_SPANS = 128, MAX_RULES = 32, MAX_SLOTS = 4096, MAX_FILE = 256 * 1024 };

typedef unsigned long long u64;
typedef struct { u64 stamp; union { double d; unsigned ui; unsigned long ul; u64 ull; long long sll; int si; unsigned short us; } value; } sample_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { u64 total, free, used; } memory_t;
_Static_assert(sizeof(sample_t) == 16 && sizeof(utilization_t) == 8 && sizeof(memory_t) == 24, "NVML's layouts");

typedef struct { u64 from, to; unsigned percent; } span;
typedef struct { char call[64]; int code; } rule;
typedef struct gpu {
	char uuid[96], name[96];
	span levels[MAX_SPANS], bursts[MAX_SPANS];
	int nlevels, nbursts;
	rule rules[MAX_RULES];
	int nrules, lost, mig, dry, exact, value_type, rate;
	unsigned memory_rate, power_mw, slots;
	u64 period_us, since_us, memory_used, memory_total, energy_from, energy_mj;
	long long offset_us;
} gpu;

static struct {
	int gpus, init, nhangs, nrules;
	char hangs[MAX_RULES][64], trace[256];
	rule rules[MAX_RULES];
	gpu gpu[MAX_GPUS];
} control;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat seen;
static int ever_read, users;
/* NVML's handles are opaque pointers; ours point in here, so that a re-read of the file leaves them valid. */
static char handles[MAX_GPUS];

static u64 now_us(void) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (u64)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void defaults(void) {
	memset(&control, 0, sizeof control);
	control.gpus = 1;
	for (int i = 0; i < MAX_GPUS; i++) {
		gpu *g = &control.gpu[i];
		snprintf(g->uuid, sizeof g->uuid, "GPU-57a4d100-0000-4000-8000-%012d", i);
		strcpy(g->name, "NVIDIA Stand-in 80GB");
		g->value_type = 1, g->rate = -1, g->slots = 72, g->period_us = 166667;
		g->power_mw = 70000, g->memory_total = 80ULL << 30, g->memory_used = 60ULL << 30;
		g->energy_from = 1700000000ULL * 1000000;
	}
}

static void gpu_line(gpu *g, const char *key, const char *rest) {
	span s = {0};
	rule r = {0};
#define NUMBER(word, field, format) else if (!strcmp(key, word)) sscanf(rest, format, &g->field)
	if (!strcmp(key, "uuid")) snprintf(g->uuid, sizeof g->uuid, "%s", rest);
	else if (!strcmp(key, "name")) snprintf(g->name, sizeof g->name, "%s", rest);
	else if (!strcmp(key, "level")) {
		if (g->nlevels < MAX_SPANS && sscanf(rest, "%llu %u", &s.from, &s.percent) == 2) g->levels[g->nlevels++] = s;
	} else if (!strcmp(key, "burst")) {
		if (g->nbursts < MAX_SPANS && sscanf(rest, "%llu %llu %u", &s.from, &s.to, &s.percent) == 3) g->bursts[g->nbursts++] = s;
	} else if (!strcmp(key, "code")) {
		if (g->nrules < MAX_RULES && sscanf(rest, "%63s %d", r.call, &r.code) == 2) g->rules[g->nrules++] = r;
	} else if (!strcmp(key, "energy")) sscanf(rest, "%llu %llu", &g->energy_from, &g->energy_mj);
	NUMBER("lost", lost, "%d"); NUMBER("mig", mig, "%d"); NUMBER("dry", dry, "%d"); NUMBER("exact", exact, "%d");
	NUMBER("value_type", value_type, "%d"); NUMBER("rate", rate, "%d"); NUMBER("memory_rate", memory_rate, "%u");
	NUMBER("power_mw", power_mw, "%u"); NUMBER("slots", slots, "%u"); NUMBER("period_us", period_us, "%llu");
	NUMBER("since_us", since_us, "%llu"); NUMBER("offset_us", offset_us, "%lld");
	NUMBER("memory_used", memory_used, "%llu"); NUMBER("memory_total", memory_total, "%llu");
#undef NUMBER
	if (g->slots < 1) g->slots = 1;
	if (g->slots > MAX_SLOTS) g->slots = MAX_SLOTS;
	if (g->period_us < 1) g->period_us = 1;
}

static void line(char *text) {
	char key[32] = "", rest[256] = "";
	int i, used = 0;
	rule r = {0};
	if (sscanf(text, "gpu %d %31s %n", &i, key, &used) >= 2 && used > 0) {
		if (i >= 0 && i < MAX_GPUS) gpu_line(&control.gpu[i], key, text + used);
		return;
	}
	if (sscanf(text, "%31s %255[^\n]", key, rest) != 2) return;
	if (!strcmp(key, "gpus")) {
		int n = atoi(rest);
		control.gpus = n < 0 ? 0 : n > MAX_GPUS ? MAX_GPUS : n;
	} else if (!strcmp(key, "init")) control.init = atoi(rest);
	else if (!strcmp(key, "trace")) snprintf(control.trace, sizeof control.trace, "%s", rest);
	else if (!strcmp(key, "hang") && control.nhangs < MAX_RULES) snprintf(control.hangs[control.nhangs++], 64, "%.63s", rest);
	else if (!strcmp(key, "code") && control.nrules < MAX_RULES && sscanf(rest, "%63s %d", r.call, &r.code) == 2)
		control.rules[control.nrules++] = r;
}

/* refresh reads the control file again where it changed. Call it with the lock held. */
static void refresh(void) {
	const char *path = getenv("NVML_STANDIN_FILE");
	struct stat st;
	if (!path || stat(path, &st) != 0) {
		if (!ever_read) defaults(), ever_read = 1;
		return;
	}
	if (ever_read && st.st_ino == seen.st_ino && st.st_size == seen.st_size && st.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == seen.st_mtim.tv_nsec) return;
	FILE *f = fopen(path, "re");
	if (!f) return;
	seen = st, ever_read = 1;
	defaults();
	char text[512];
	for (long budget = MAX_FILE; budget > 0 && fgets(text, sizeof text, f); budget -= (long)strlen(text)) {
		text[strcspn(text, "\r\n")] = 0;
		if (text[0] && text[0] != '#') line(text);
	}
	fclose(f);
}

static int hangs(const char *call) {
	for (int i = 0; i < control.nhangs; i++) if (!strcmp(control.hangs[i], call)) return 1;
	return 0;
}

static int code_of(const rule *rules, int n, const char *call) {
	for (int i = 0; i < n; i++) if (!strcmp(rules[i].call, call)) return rules[i].code;
	return 0;
}

static void trace(const char *call, int index) {
	char text[96];
	int fd = open(control.trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) return;
	int n = snprintf(text, sizeof text, "%s %d\n", call, index);
	if (write(fd, text, n) < 0) { /* a lost trace line shows in the test that reads it */ }
	close(fd);
}

/* enter begins a call: it hangs as long as the file says so, and returns the planned code. It leaves the lock held. */
static int enter(const char *call, int index) {
	pthread_mutex_lock(&lock);
	refresh();
	if (control.trace[0]) trace(call, index);
	while (hangs(call)) {
		pthread_mutex_unlock(&lock);
		usleep(2000);
		pthread_mutex_lock(&lock);
		refresh();
	}
	return code_of(control.rules, control.nrules, call);
}

static int leave(int code) {
	pthread_mutex_unlock(&lock);
	return code;
}

static int index_of(void *device) {
	char *p = device;
	return p >= handles && p < handles + MAX_GPUS ? (int)(p - handles) : -1;
}

/* enter_gpu begins a call on a device; *g is set where it returns SUCCESS. */
static int enter_gpu(const char *call, void *device, gpu **g) {
	int i = index_of(device), code = enter(call, i);
	if (code) return code;
	if (!users) return UNINITIALIZED;
	if (i < 0 || i >= control.gpus) return INVALID_ARGUMENT;
	*g = &control.gpu[i];
	if ((*g)->lost) return (*g)->lost;
	return code_of((*g)->rules, (*g)->nrules, call);
}

static unsigned level_at(const gpu *g, u64 t) {
	unsigned percent = 0;
	u64 best = 0;
	for (int i = 0; i < g->nlevels; i++)
		if (g->levels[i].from <= t && g->levels[i].from >= best) best = g->levels[i].from, percent = g->levels[i].percent;
	return percent;
}

/* sample_at is what the ring remembers of the period that ended at t: a burst in it, however short, else the level. */
static unsigned sample_at(const gpu *g, u64 t) {
	unsigned percent = level_at(g, t);
	for (int i = 0; i < g->nbursts; i++) {
		const span *b = &g->bursts[i];
		if (b->from <= t && b->to > t - g->period_us && b->percent > percent) percent = b->percent;
	}
	return percent;
}

static void put(const gpu *g, sample_t *s, unsigned percent) {
	switch (g->value_type) {
	case 0: s->value.d = percent; break;
	case 2: s->value.ul = percent; break;
	case 3: s->value.ull = percent; break;
	case 4: s->value.sll = percent; break;
	case 5: s->value.si = (int)percent; break;
	case 6: s->value.us = (unsigned short)percent; break;
	default: s->value.ui = percent;
	}
}

/* collect writes the ring's samples after `after` to out (where it is not NULL), at most room of them, and counts all. */
__attribute__((unused)) static unsigned collect(const gpu *g, u64 after, sample_t *out, unsigned room) {
	u64 last = now_us() / g->period_us;
	unsigned n = 0;
	for (u64 k = last - g->slots + 1; k <= last; k++) {
		u64 t = k * g->period_us, stamp = t + (u64)g->offset_us;
		unsigned percent = sample_at(g, t);
		if (t < g->since_us || stamp <= after || (g->dry && percent == 0)) continue;
		if (out && n < room) {
			memset(&out[n], 0, sizeof out[n]);
			out[n].stamp = stamp;
			put(g, &out[n], percent);
		}
		n++;
	}
	return n;
}

static int init(const char *call) {
	int code = enter(call, -1);
	if (!code) code = control.init;
	if (!code) users++;
	return leave(code);
}

static int count(const char *call, unsigned *n) {
	int code = enter(call, -1);
	if (!code && !users) code = UNINITIALIZED;
	if (!code) *n = (unsigned)control.gpus;
	return leave(code);
}

static int handle(const char *call, unsigned index, void **device) {
	gpu *g;
	*device = index < MAX_GPUS ? &handles[index] : NULL;
	return leave(enter_gpu(call, *device, &g));
}

static int text(const char *call, void *device, char *out, unsigned length, size_t offset) {
	gpu *g;
	int code = enter_gpu(call, device, &g);
	if (code) return leave(code);
	const char *s = (const char *)g + offset;
	if (strlen(s) + 1 > length) return leave(INSUFFICIENT_SIZE);
	strcpy(out, s);
	return leave(SUCCESS);
}

#ifndef WITHOUT_nvmlInit
int nvmlInit(void) { return init("nvmlInit"); }
#endif
#ifndef WITHOUT_nvmlInit_v2
int nvmlInit_v2(void) { return init("nvmlInit_v2"); }
#endif
#ifndef WITHOUT_nvmlShutdown
int nvmlShutdown(void) {
	int code = enter("nvmlShutdown", -1);
	if (!code && !users) code = UNINITIALIZED;
	if (!code) users--;
	return leave(code);
}
#endif
#ifndef WITHOUT_nvmlErrorString
const char *nvmlErrorString(int code) { return code ? "an error of the stand-in" : "Success"; }
#endif
#ifndef WITHOUT_nvmlDeviceGetCount
int nvmlDeviceGetCount(unsigned *n) { return count("nvmlDeviceGetCount", n); }
#endif
#ifndef WITHOUT_nvmlDeviceGetCount_v2
int nvmlDeviceGetCount_v2(unsigned *n) { return count("nvmlDeviceGetCount_v2", n); }
#endif
#ifndef WITHOUT_nvmlDeviceGetHandleByIndex
int nvmlDeviceGetHandleByIndex(unsigned i, void **d) { return handle("nvmlDeviceGetHandleByIndex", i, d); }
#endif
#ifndef WITHOUT_nvmlDeviceGetHandleByIndex_v2
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { return handle("nvmlDeviceGetHandleByIndex_v2", i, d); }
#endif
#ifndef WITHOUT_nvmlDeviceGetUUID
int nvmlDeviceGetUUID(void *d, char *out, unsigned n) { return text("nvmlDeviceGetUUID", d, out, n, offsetof(gpu, uuid)); }
#endif
#ifndef WITHOUT_nvmlDeviceGetName
int nvmlDeviceGetName(void *d, char *out, unsigned n) { return text("nvmlDeviceGetName", d, out, n, offsetof(gpu, name)); }
#endif
#ifndef WITHOUT_nvmlSystemGetDriverVersion
int nvmlSystemGetDriverVersion(char *out, unsigned n) {
	static const char version[] = "580.95.05";
	int code = enter("nvmlSystemGetDriverVersion", -1);
	if (!code && n < sizeof version) code = INSUFFICIENT_SIZE;
	if (!code) memcpy(out, version, sizeof version);
	return leave(code);
}
#endif
#ifndef WITHOUT_nvmlDeviceGetMigMode
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
	gpu *g;
	int code = enter_gpu("nvmlDeviceGetMigMode", device, &g);
	if (!code) *current = *pending = g->mig != 0;
	return leave(code);
}
#endif
#ifndef WITHOUT_nvmlDeviceGetSamples
int nvmlDeviceGetSamples(void *device, int type, u64 after, int *value_type, unsigned *n, sample_t *out) {
	gpu *g;
	int code = enter_gpu("nvmlDeviceGetSamples", device, &g);
	if (code) return leave(code);
	if (g->mig == 1 || type != GPU_UTILIZATION_SAMPLES) return leave(NOT_SUPPORTED);
	if (out && *n == 0) return leave(INVALID_ARGUMENT);
	unsigned there = collect(g, after, out, out ? *n : 0);
	*value_type = g->value_type;
	if (there == 0) return leave(NOT_FOUND);
	if (!out) *n = g->exact ? there : g->slots;
	else if (there < *n) *n = there;
	return leave(SUCCESS);
}
#endif
#ifndef WITHOUT_nvmlDeviceGetUtilizationRates
int nvmlDeviceGetUtilizationRates(void *device, utilization_t *out) {
	gpu *g;
	int code = enter_gpu("nvmlDeviceGetUtilizationRates", device, &g);
	if (!code && g->mig == 1) code = NOT_SUPPORTED;
	if (!code) out->gpu = g->rate >= 0 ? (unsigned)g->rate : level_at(g, now_us()), out->memory = g->memory_rate;
	return leave(code);
}
#endif
#ifndef WITHOUT_nvmlDeviceGetMemoryInfo
int nvmlDeviceGetMemoryInfo(void *device, memory_t *out) {
	gpu *g;
	int code = enter_gpu("nvmlDeviceGetMemoryInfo", device, &g);
	if (!code) out->total = g->memory_total, out->used = g->memory_used, out->free = g->memory_total - g->memory_used;
	return leave(code);
}
#endif
#ifndef WITHOUT_nvmlDeviceGetPowerUsage
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
	gpu *g;
	int code = enter_gpu("nvmlDeviceGetPowerUsage", device, &g);
	if (!code) *milliwatts = g->power_mw;
	return leave(code);
}
#endif
#ifndef WITHOUT_nvmlDeviceGetTotalEnergyConsumption
int nvmlDeviceGetTotalEnergyConsumption(void *device, u64 *millijoules) {
	gpu *g;
	int code = enter_gpu("nvmlDeviceGetTotalEnergyConsumption", device, &g);
	u64 now = now_us();
	if (!code) *millijoules = g->energy_mj + (now > g->energy_from ? (now - g->energy_from) / 1000 * g->power_mw / 1000 : 0);
	return leave(code);
}
#endif
