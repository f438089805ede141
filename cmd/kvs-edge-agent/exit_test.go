package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A command that a disk keeps from ending is given up after a signal, but not one that seals recordings.
func TestACommandThatHangsIsGivenUpAfterASignal(t *testing.T) {
	t.Parallel()
	failed := errors.New("it failed")
	for name, row := range map[string]struct {
		lasting bool
		takes   time.Duration
		within  time.Duration
		want    error
	}{
		"it ends before the signal":  {takes: 500 * time.Millisecond, within: 500 * time.Millisecond, want: failed},
		"it ends after the signal":   {takes: 2 * time.Second, within: 2 * time.Second, want: failed},
		"it hangs":                   {takes: time.Hour, within: 5500 * time.Millisecond, want: context.Canceled},
		"it is lasting, and is slow": {lasting: true, takes: time.Hour, within: time.Hour, want: failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, signal := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, signal)
				started := time.Now()
				err := execute(ctx, row.lasting, func() error { <-time.After(row.takes); return failed })
				took := time.Since(started)
				<-time.After(2 * time.Hour) // what was given up ends
				if !errors.Is(err, row.want) || took != row.within {
					t.Errorf("after %v: %v, want %v after %v", took, err, row.want, row.within)
				}
			})
		})
	}
	root := newRootCommand()
	for command, want := range map[string]bool{"run": true, "record": true, "demo": true, "verify": false, "streams show": false} {
		if got := isLasting(root, strings.Fields(command)); got != want {
			t.Errorf("%s lasts: %v", command, got)
		}
	}
}
