package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// mutation is one rule taken out.
type mutation struct {
	// name says what is gone, in our own words.
	name string
	// file is relative to the module's root; old is there exactly once, and becomes now.
	file, old, now string
}

// all are the mutations by topic, in the order in which they are run.
func all() []mutation {
	return slices.Concat(orderMutations, evidenceMutations, lieMutations, clockMutations, stopMutations, moneyMutations, stopperMutations, loopMutations, sideworkMutations)
}

// rooms are the packages that are mutated and tested, by their folder.
var rooms = []string{"watchdog", "costmodel", runpodRoom, loopRoom}

// needed are the packages that the rooms and their tests are compiled with.
var needed = []string{"watchdog/stopper", runpodRoom + "/runpodtest", runpodRoom + "/internal/conformity",
	"collector", "internal/control/orders", "internal/memory", "internal/notify", "internal/post", "internal/secret"}

func main() {
	root := flag.String("root", ".", "the module's root")
	only := flag.String("only", "", "run the mutations whose name matches this expression")
	jobs := flag.Int("jobs", 2, "how many are run at once")
	limit := flag.Duration("limit", time.Minute, "how long the tests of one may take; longer is a failure of theirs, so noticed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survivors, err := run(ctx, *root, *only, *jobs, *limit)
	if survivors > 0 {
		fmt.Printf("%d survived: write the row that would have failed\n", survivors)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
	}
	if survivors > 0 || err != nil {
		os.Exit(1)
	}
}

// run runs the chosen mutations and prints each with the test that noticed it.
func run(ctx context.Context, root, only string, jobs int, limit time.Duration) (survivors int, err error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return 0, fmt.Errorf("-only: %w", err)
	}
	chosen := slices.DeleteFunc(all(), func(m mutation) bool { return !pattern.MatchString(m.name) })
	if len(chosen) == 0 {
		return 0, fmt.Errorf("no mutation matches %q", only)
	}
	benches := make(chan *bench, jobs)
	for range max(1, jobs) {
		b, err := newBench(root)
		if err != nil {
			return 0, err
		}
		defer b.close()
		benches <- b
	}
	if err := unmutated(ctx, benches, chosen, limit); err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	var mu sync.Mutex // guards what follows, and the output
	var broken []error
	for _, m := range chosen {
		b := <-benches
		group.Go(func() {
			by, err := b.try(ctx, m, limit)
			benches <- b
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				broken = append(broken, fmt.Errorf("%s: %w", m.name, err))
			case by == "":
				survivors++
				fmt.Printf("SURVIVED  %s (%s)\n", m.name, m.file)
			default:
				fmt.Printf("noticed   %s: %s\n", m.name, by)
			}
		})
	}
	group.Wait()
	fmt.Printf("%d mutations, %d noticed\n", len(chosen), len(chosen)-survivors-len(broken))
	return survivors, errors.Join(broken...)
}

// unmutated makes sure that the tests of the chosen mutations' rooms pass before anything is taken out.
func unmutated(ctx context.Context, benches chan *bench, chosen []mutation, limit time.Duration) error {
	b := <-benches
	defer func() { benches <- b }()
	for _, room := range rooms {
		if !slices.ContainsFunc(chosen, func(m mutation) bool { return filepath.Dir(m.file) == room }) {
			continue
		}
		by, err := b.test(ctx, room, limit)
		switch {
		case err != nil:
			return err
		case by != "":
			return fmt.Errorf("the tests of %s fail without any mutation: %s", room, by)
		}
	}
	return nil
}
