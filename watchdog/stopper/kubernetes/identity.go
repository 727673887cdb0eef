package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// identity says which pod we are.
type identity struct {
	namespace, name, uid string
}

// claims is what a token says of whom it was issued to. Its signature is not checked: the file is ours, and the API server
// checks it at each request.
type claims struct {
	Kubernetes struct {
		Namespace string `json:"namespace"`
		Pod       struct {
			Name string `json:"name"`
			UID  string `json:"uid"`
		} `json:"pod"`
	} `json:"kubernetes.io"`
}

// readClaims takes a token apart. A token of another form, or with claims of another form, tells nothing.
func readClaims(token string) identity {
	var told claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return identity{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &told) != nil {
		return identity{}
	}
	of := told.Kubernetes
	return identity{namespace: of.Namespace, name: of.Pod.Name, uid: of.Pod.UID}
}

// identify says which pod we are, from what is given (by the environment) and from the service account's files.
func identify(given identity, from *account) (identity, error) {
	token, err := from.token()
	if err != nil {
		return identity{}, err
	}
	told := readClaims(token.Reveal())
	if given.namespace == "" && told.namespace == "" {
		given.namespace = from.namespace()
	}
	return agree(given, told)
}

// agree joins what is given with what the token tells, which must not contradict each other. Without its uid a pod is not
// known: another one may have had the same name, and what owns that one is none of our business.
func agree(given, told identity) (identity, error) {
	self := given
	for _, part := range []struct {
		variable string
		value    *string
		told     string
		valid    func(string) bool
	}{
		{"POD_NAMESPACE", &self.namespace, told.namespace, isName},
		{"POD_NAME", &self.name, told.name, isName},
		{"POD_UID", &self.uid, told.uid, isUID},
	} {
		switch {
		case *part.value == "":
			*part.value = part.told
		case part.told != "" && part.told != *part.value:
			return identity{}, fmt.Errorf("%s is %q, but the service account's token was issued to %q: set it by the downward API, or not at all",
				part.variable, stopper.CleanDetail(*part.value), stopper.CleanDetail(part.told))
		}
		switch {
		case *part.value == "":
			return identity{}, errors.New("cannot tell which pod this is: the service account's token does not say, and " + part.variable + " is empty; set POD_NAME, POD_UID and POD_NAMESPACE by the downward API")
		case !part.valid(*part.value):
			return identity{}, fmt.Errorf("%s %q is not of the form that Kubernetes gives; set it by the downward API, or not at all", part.variable, stopper.CleanDetail(*part.value))
		}
	}
	return self, nil
}
