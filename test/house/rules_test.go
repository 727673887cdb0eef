package house

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// A rule says what in a tree breaks it, one finding for each place.
type rule func(fs.FS) []string

// TestRules holds the project to each rule, and each rule to a tree that breaks it.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		rule  rule
		file  string
		text  string
		found string
	}{
		{"long file", filesAreShort, "watchdog/long.go", strings.Repeat("// line\n", 601), "601 lines"},
		{"catch-all file", namesSaySomething, "watchdog/http_helpers.go", "package watchdog\n", "http_helpers.go"},
		{"catch-all test", namesSaySomething, "watchdog/common_test.go", "package watchdog\n", "common_test.go"},
		{"catch-all folder", namesSaySomething, "internal/utils/x.go", "package utils\n", "internal/utils"},
		{"manager in C", namesSaySomething, "collector/nvml/standin/manager.c", "", "manager.c"},
		{"path out of the project", pathsStayInside, "docs/x.md", "See ../" + "shared/design.md.\n", "line 1"},
		{"path of a machine", pathsStayInside, "cmd/x.go", "package x\n// as in /" + "work/lab/x\n", "line 2"},
		{"path of a person", pathsStayInside, "cmd/x.go", "package x\nvar p = \"/home/" + "ada/go\"\n", "line 2"},
		{"no package comment", packagesSayWhatFor, "internal/x/x.go", "package x\n", "internal/x"},
		{"comment on the wrong name", packagesSayWhatFor, "internal/x/x.go", "// Package y is for z.\npackage x\n", "internal/x"},
		{"test that sleeps", testsDoNotSleep, "internal/x/x_test.go", "package x\nfunc f() { time." + "Sleep(1) }\n", "x_test.go"},
		{"promise instead of code", nothingIsLeftOpen, "internal/x/x.go", "package x\n// TO" + "DO: the rest\n", "line 2"},
		{"script nobody can run", scriptsRun, "deploy/x.sh", "#!/bin/sh\n", "deploy/x.sh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, finding := range c.rule(project(t)) {
				t.Error(finding)
			}
			broken := c.rule(fstest.MapFS{c.file: {Data: []byte(c.text), Mode: 0o644}})
			if len(broken) != 1 || !strings.Contains(broken[0], c.found) {
				t.Errorf("on a tree that breaks it the rule finds %q, not one finding with %q", broken, c.found)
			}
		})
	}
}

func filesAreShort(tree fs.FS) (findings []string) {
	const most = 600
	for name, text := range written(tree) {
		if lines := strings.Count(text, "\n"); lines > most && name != "tools/go.mod" {
			findings = append(findings, fmt.Sprintf("%s has %d lines, more than %d: a file holds one idea", name, lines, most))
		}
	}
	return findings
}

// catchAll are names that say nothing, alone or beside another word.
var catchAll = regexp.MustCompile(`(^|[_-])(utils?|commons?|helpers?|types|managers?|misc|shared)([_.-]|$)`)

func namesSaySomething(tree fs.FS) (findings []string) {
	folders := map[string]bool{}
	for name := range written(tree) {
		if catchAll.MatchString(path.Base(name)) {
			findings = append(findings, name+": the name says nothing; name the one idea that the file holds")
		}
		for folder := path.Dir(name); folder != "." && !folders[folder]; folder = path.Dir(folder) {
			folders[folder] = true
			if catchAll.MatchString(path.Base(folder)) {
				findings = append(findings, folder+": the name says nothing; name what the package is for")
			}
		}
	}
	return findings
}

// outside are paths that exist on one machine only.
var outside = regexp.MustCompile(`\.\./` + `shared\b|/` + `work/(lab|main|shared|\.library)|/home/[a-z]+/|/Users/[A-Za-z]+/|/root/` + `go\b`)

func pathsStayInside(tree fs.FS) (findings []string) {
	return lines(tree, outside, "a path that exists on one machine only")
}

// unfinished are the marks of what somebody meant to write.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func nothingIsLeftOpen(tree fs.FS) (findings []string) {
	return lines(tree, unfinished, "write it, or leave it out")
}

func lines(tree fs.FS, pattern *regexp.Regexp, why string) (findings []string) {
	for name, text := range written(tree) {
		for i, line := range strings.Split(text, "\n") {
			if found := pattern.FindString(line); found != "" {
				findings = append(findings, fmt.Sprintf("%s, line %d: %s: %s", name, i+1, found, why))
			}
		}
	}
	return findings
}

func packagesSayWhatFor(tree fs.FS) (findings []string) {
	type room struct {
		name     string
		comments []string
	}
	rooms := map[string]*room{}
	for name, text := range written(tree) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			findings = append(findings, err.Error())
			continue
		}
		folder := path.Dir(name)
		if rooms[folder] == nil {
			rooms[folder] = &room{name: file.Name.Name}
		}
		if file.Doc != nil {
			rooms[folder].comments = append(rooms[folder].comments, file.Doc.Text())
		}
	}
	for folder, room := range rooms {
		openings := []string{"Package " + room.name + " "}
		if name := path.Base(folder); room.name == "main" {
			openings = []string{"Command " + name + " ", strings.ToUpper(name[:1]) + name[1:] + " "}
		}
		starts := func(opening string) bool { return strings.HasPrefix(strings.Join(room.comments, "\n"), opening) }
		if len(room.comments) != 1 || !slices.ContainsFunc(openings, starts) {
			findings = append(findings, fmt.Sprintf("%s has %d package comments; it needs one, which begins with %q", folder, len(room.comments), openings))
		}
	}
	return findings
}

func testsDoNotSleep(tree fs.FS) (findings []string) {
	for name, text := range written(tree) {
		if strings.HasSuffix(name, "_test.go") && strings.Contains(text, "time."+"Sleep(") && !strings.Contains(text, `"testing/synctest"`) {
			findings = append(findings, name+" sleeps outside of a synctest bubble: wait for a condition with a bound")
		}
	}
	return findings
}

func scriptsRun(tree fs.FS) (findings []string) {
	for name, text := range written(tree) {
		if !strings.HasPrefix(text, "#!") {
			continue
		}
		if info, err := fs.Stat(tree, name); err != nil || info.Mode()&0o111 == 0 {
			findings = append(findings, name+" begins with #! and cannot be run: chmod +x")
		}
	}
	return findings
}
