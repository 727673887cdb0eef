// Command trim cuts RunPod's OpenAPI document down to what is used here: by the stopper the path of one pod and that of its
// actions, by deploy/runpod the making of templates and pods; and what these refer to. Prose and examples are left out, since
// nothing is checked against them.
//
//	go run ./watchdog/stopper/runpod/internal/conformity/trim openapi.json > watchdog/stopper/runpod/internal/conformity/testdata/pods.json
//
// RunPod serves its document at https://api.runpod.io/v2/openapi.json.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// wanted are the paths, and of each the methods; none means all.
var wanted = map[string][]string{"/v2/pods/{id}": nil, "/v2/pods/{id}/action": nil, "/v2/pods": {"post"}, "/v2/templates": {"post"}}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "trim:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("give the path of RunPod's OpenAPI document, and nothing else")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	trimmed, err := trim(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	_, err = out.Write(trimmed)
	return err
}

type object = map[string]any

// trim returns the smaller document, with sorted keys, so that equal documents give equal bytes.
func trim(raw []byte) ([]byte, error) {
	var doc object
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	paths, _ := doc["paths"].(object)
	components, _ := doc["components"].(object)
	kept := object{"securitySchemes": components["securitySchemes"]}
	keptPaths := object{}
	for path, methods := range wanted {
		item, ok := paths[path].(object)
		if !ok {
			return nil, fmt.Errorf("no path %s in it", path)
		}
		if methods != nil {
			item = maps.Clone(item)
			maps.DeleteFunc(item, func(name string, _ any) bool { return !slices.Contains(methods, name) })
		}
		keptPaths[path] = item
		if err := follow(item, components, kept); err != nil {
			return nil, err
		}
	}
	small := object{
		"openapi": doc["openapi"], "info": doc["info"], "servers": doc["servers"], "security": doc["security"],
		"paths": keptPaths, "components": kept,
	}
	out, err := json.MarshalIndent(withoutProse(small, false), "", " ")
	return append(out, '\n'), err
}

// follow copies every component that node refers to, however indirectly, into kept.
func follow(node any, components, kept object) error {
	switch n := node.(type) {
	case []any:
		for _, one := range n {
			if err := follow(one, components, kept); err != nil {
				return err
			}
		}
	case object:
		if ref, ok := n["$ref"].(string); ok {
			if err := keep(ref, components, kept); err != nil {
				return err
			}
		}
		for _, one := range n {
			if err := follow(one, components, kept); err != nil {
				return err
			}
		}
	}
	return nil
}

func keep(ref string, components, kept object) error {
	parts := strings.Split(ref, "/")
	if len(parts) != 4 || parts[0] != "#" || parts[1] != "components" {
		return fmt.Errorf("reference %q is of a form that is not followed", ref)
	}
	group, _ := components[parts[2]].(object)
	target, ok := group[parts[3]]
	if !ok {
		return fmt.Errorf("reference %q leads nowhere", ref)
	}
	into, ok := kept[parts[2]].(object)
	if !ok {
		into = object{}
		kept[parts[2]] = into
	}
	if _, seen := into[parts[3]]; seen {
		return nil
	}
	into[parts[3]] = target
	return follow(target, components, kept)
}

// names are the keys below which every key is a name that the document's author chose, "description" among them.
var names = map[string]bool{
	"properties": true, "schemas": true, "headers": true, "responses": true, "paths": true, "content": true,
	"parameters": true, "securitySchemes": true, "requestBodies": true,
}

var prose = map[string]bool{"description": true, "summary": true, "example": true, "examples": true, "tags": true}

func withoutProse(node any, named bool) any {
	switch n := node.(type) {
	case []any:
		out := make([]any, len(n))
		for i, one := range n {
			out[i] = withoutProse(one, false)
		}
		return out
	case object:
		out := object{}
		for key, one := range n {
			switch {
			case named || !prose[key] && !strings.HasPrefix(key, "x-"):
				out[key] = withoutProse(one, !named && names[key])
			case key == "description":
				out[key] = "" // a response must have one
			}
		}
		return out
	}
	return node
}
