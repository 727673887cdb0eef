package config

import "path/filepath"

// fillDefaults computes the defaults that depend on the machine, and says of each field where it came from.
func (l *loader) fillDefaults() {
	for _, f := range fields {
		if l.cfg.origins[f.Variable] == "" {
			l.cfg.origins[f.Variable] = FromDefault
		}
	}
	c := &l.cfg
	if !c.Explicit(Prefix + "NAME") {
		c.Name = l.defaultName()
	}
	if !c.Explicit(Prefix + "DIR") {
		c.Dir = localDir
		if l.opts.IsMounted(volume) {
			c.Dir = filepath.Join(volume, ".gpu-watchdog")
		}
	}
	if !c.Explicit(Prefix + "START_ID_FILE") {
		c.StartIDFile = filepath.Join(localDir, "start-id")
		if onVolume(c.StartIDFile, l.opts.IsMounted) {
			c.StartIDFile = c.tempStartID()
		}
	}
	if !c.Explicit(Prefix+"CPU_BUSY") && len(c.VLLMURLs) == 0 {
		c.CPUBusy = 0.5
	}
	if !c.Explicit(Prefix + "LOG_FORMAT") {
		c.LogFormat = LogJSON
		if l.opts.OnTerminal {
			c.LogFormat = LogConsole
		}
	}
}

// defaultName is the first of the pod's names that can be a folder's, "" where there is none.
func (l *loader) defaultName() string {
	o := l.opts
	owner := o.KubernetesOwner
	if owner == "" {
		owner = ownerOfPod(o.KubernetesPod)
	}
	if owner != "" && o.KubernetesNamespace != "" {
		owner = o.KubernetesNamespace + "/" + owner
	} else {
		owner = "" // in another namespace another may have that name
	}
	for _, s := range []string{o.RunpodPodID, owner, o.Hostname} {
		if name := safeName(s); name != "" {
			return name
		}
	}
	return ""
}

func (c Config) tempStartID() string { return filepath.Join(c.tempDir, "gpu-watchdog", "start-id") }
