package config

import (
	"slices"
	"strings"
)

// StopTargets are the ways to stop the pod in the order in which they are tried. None means auto: RunPod's API on a
// RunPod pod, nothing elsewhere.
type StopTargets []string

// The targets.
const (
	StopRunpod     = "runpod"
	StopKubernetes = "kubernetes"
	StopWebhook    = "webhook"
	StopCommand    = "command"
)

var stopTargets = []string{StopRunpod, StopKubernetes, StopWebhook, StopCommand}

func (t StopTargets) String() string {
	if len(t) == 0 {
		return "auto"
	}
	return strings.Join(t, ",")
}

// Has says that the target is named. Auto names none.
func (t StopTargets) Has(target string) bool { return slices.Contains(t, target) }

func parseStopTargets(s string) (any, error) {
	switch strings.ToLower(s) {
	case "auto":
		return StopTargets(nil), nil
	case "none", off, "no", "false":
		return nil, wrong(s, "is no target; to decide and stop nothing, set %sDRY_RUN=true", Prefix)
	}
	targets, err := eachOnce(s, "target", func(part string) (string, string) {
		switch {
		case part == "auto":
			return "", "auto stands alone; write auto, or the targets themselves, such as runpod,webhook"
		case !slices.Contains(stopTargets, part):
			return "", notOneOf(part, append([]string{"auto"}, stopTargets...))
		}
		return part, ""
	})
	return StopTargets(targets), err
}

// StopAction is what the provider is asked to do.
type StopAction string

// The actions.
const (
	ActionStop      StopAction = "stop"
	ActionTerminate StopAction = "terminate"
	ActionLoseData  StopAction = "terminate-and-lose-data"
)

func parseStopAction(s string) (any, error) {
	switch a := StopAction(s); a {
	case ActionStop, ActionTerminate, ActionLoseData:
		return a, nil
	}
	// The action that loses data is offered to nobody who has not written so.
	known := []string{string(ActionStop), string(ActionTerminate)}
	if strings.Contains(strings.ToLower(s), "lose") {
		known = append(known, string(ActionLoseData))
	}
	text := notOneOf(s, known)
	if !strings.Contains(text, "did you mean") {
		text = notOneOf("", []string{string(ActionStop), string(ActionTerminate), string(ActionLoseData)})
	}
	return nil, wrong(s, "%s", text)
}

// checkStop: a target that is named needs what it is reached by.
func (l *loader) checkStop() {
	const stop = Prefix + "STOP"
	if !l.found.good(stop) {
		return
	}
	for _, need := range []struct {
		target, variable, what string
		set                    bool
	}{
		{StopWebhook, Prefix + "STOP_URL", "the address that it asks", l.cfg.StopURL.IsSet()},
		{StopCommand, Prefix + "STOP_COMMAND", "the program that it runs", l.cfg.StopCommand.IsSet()},
	} {
		if l.cfg.Stop.Has(need.target) && !need.set && l.found.good(need.variable, need.variable+fileSuffix) {
			l.found.add(stop, l.set[stop], "names "+need.target+", and "+need.variable+", "+need.what+", is not set; set it, or take "+
				need.target+" out of "+stop)
		}
	}
}

// warnStop remarks on settings for a target that is not named.
func (l *loader) warnStop(say func(format string, args ...any)) {
	c := &l.cfg
	for _, of := range []struct {
		target, short string
		set           bool
	}{
		{StopKubernetes, "KUBERNETES_TARGET", c.KubernetesTarget != ""},
		{StopWebhook, "STOP_URL", c.StopURL.IsSet()},
		{StopCommand, "STOP_COMMAND", c.StopCommand.IsSet()},
	} {
		if of.set && !c.Stop.Has(of.target) {
			say("%s%s does nothing: %sSTOP=%s does not name %s", Prefix, of.short, Prefix, c.Stop, of.target)
		}
	}
	if c.WebhookSecret.IsSet() && !c.NotifyURL.IsSet() && !c.Stop.Has(StopWebhook) {
		say("%sWEBHOOK_SECRET signs nothing: there is no %sNOTIFY_URL, and %sSTOP=%s does not name %s", Prefix, Prefix, Prefix, c.Stop, StopWebhook)
	}
	runpod := c.Stop.Has(StopRunpod) || len(c.Stop) == 0 && l.opts.RunpodPodID != ""
	if c.StopAction != ActionStop && !runpod {
		say("%sSTOP_ACTION=%s is for RunPod, which %sSTOP=%s does not stop through here: Kubernetes scales down whatever it says, "+
			"and a webhook or a command is only told the word", Prefix, c.StopAction, Prefix, c.Stop)
	}
}
