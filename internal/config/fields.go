package config

import (
	"reflect"
	"time"
)

// Field describes one variable for people.
type Field struct {
	// Variable is the full name.
	Variable string
	// Type says what is accepted.
	Type string
	// Default is the value, or a description where it depends on the machine.
	Default string
	// Meaning is the comment of the field in Config, on one line.
	Meaning string
	// Secret: the value is never shown, and may come from the file that Variable_FILE names.
	Secret bool

	name  string
	index int
	// empty is what the variable means when it is set to nothing; "" where that counts as not set.
	empty string
	// least bounds a duration from below: exclusive where over, else inclusive.
	least time.Duration
	over  bool
}

// Fields describes every variable, in the order of Config.
func Fields() []Field { return append([]Field(nil), fields...) }

var fields = describe(reflect.TypeFor[Config]())

func describe(t reflect.Type) []Field {
	var all []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, ok := sf.Tag.Lookup("env")
		if !ok {
			continue
		}
		f := Field{
			Variable: Prefix + name,
			Type:     sf.Tag.Get("type"),
			Default:  sf.Tag.Get("envDefault"),
			Meaning:  meanings[sf.Name],
			Secret:   sf.Type == reflect.TypeFor[Secret]() || sf.Type == reflect.TypeFor[HookURL](),
			name:     sf.Name,
			index:    i,
			empty:    sf.Tag.Get("empty"),
		}
		if f.Default == "" {
			f.Default = sf.Tag.Get("default")
		}
		if least, ok := sf.Tag.Lookup("min"); ok {
			f.least = mustDuration(least)
			f.Type += " ≥ " + shortZero(least)
		}
		if least, ok := sf.Tag.Lookup("over"); ok {
			f.least, f.over = mustDuration(least), true
			f.Type += " > " + shortZero(least)
		}
		all = append(all, f)
	}
	return all
}

func shortZero(d string) string {
	if d == "0s" {
		return "0"
	}
	return d
}

// mustDuration reads a tag; a tag that is none fails every test.
func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic("config: tag of a field of Config: " + err.Error())
	}
	return d
}
