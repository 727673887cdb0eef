package config

import (
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/internal/post"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// HookURL is an address that is itself a secret: who has it can write there. It prints as one, and may come from a file.
type HookURL struct{ Secret }

// parseHookURL keeps the address; checkHooks reads it.
func parseHookURL(s string) (any, error) {
	if strings.Contains(s, "{{") {
		return nil, wrong("", "holds an unfilled placeholder (its value is not shown); copy the URL again")
	}
	return HookURL{secret.New(s)}, nil
}

// checkHooks asks those who will send there. Their mistakes show the host at most.
func (l *loader) checkHooks() {
	for _, hook := range []struct {
		variable string
		url      HookURL
		check    func(variable string, url Secret) error
	}{
		{Prefix + "STOP_URL", l.cfg.StopURL, func(variable string, url Secret) error {
			_, err := post.ParseAddress(variable, url)
			return err
		}},
		{Prefix + "NOTIFY_URL", l.cfg.NotifyURL, func(_ string, url Secret) error { return notify.CheckURL(url) }},
	} {
		if !hook.url.IsSet() || !l.found.good(hook.variable) {
			continue
		}
		if err := hook.check(hook.variable, hook.url.Secret); err != nil {
			variable := hook.variable
			if l.cfg.origins[variable] == FromFile {
				variable += fileSuffix
			}
			l.found.add(variable, "", strings.TrimPrefix(err.Error(), hook.variable+" "))
		}
	}
}
