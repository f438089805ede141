package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// storeFlags are those of all commands that read the recordings.
type storeFlags struct {
	timeFlags
	dir, stream string
	note        string           // how the service's directory differs from this shell's, or ""
	problems    func() io.Writer // the standard error
}

func (f *storeFlags) add(cmd *cobra.Command) {
	f.problems = cmd.ErrOrStderr
	cmd.Flags().StringVar(&f.dir, "dir", "",
		"the recording directory (default: that of the service, or $AWS_KVS_EDGE_RECORDING_DIRECTORY, or .)")
	cmd.Flags().StringVar(&f.stream, "stream", "", "the stream (default all)")
	f.timeFlags.add(cmd, "the earliest time (default the first recording)", "the latest time (default now)")
	completeStreams(cmd, func() []string { return f.recordedStreams() })
}

// completeStreams completes the names of --stream.
func completeStreams(cmd *cobra.Command, names func() []string) {
	err := cmd.RegisterFlagCompletionFunc("stream", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the command has the flag
	}
}

// recordedStreams lists the streams that have recordings, none when these cannot be read.
func (f *storeFlags) recordedStreams() []string {
	dir, err := f.directory(serviceSettings)
	if err != nil {
		return nil
	}
	s, err := segment.OpenReadOnly(segment.Options{Dir: dir})
	if err != nil {
		return nil
	}
	return s.Streams()
}

// directory is --dir, or else that of the service, or else what run would take in this shell.
func (f *storeFlags) directory(service string) (string, error) {
	if f.dir != "" {
		return f.dir, nil
	}
	shell := os.Getenv(settings.EnvRecordingDirectory)
	err := useServiceSettings(service)
	f.note = shellDiffers(settings.EnvRecordingDirectory, shell)
	dir := os.Getenv(settings.EnvRecordingDirectory)
	if err != nil && dir == "" {
		return "", &exitError{exitSettings, fmt.Errorf("name the recording directory with --dir: %w", err)}
	}
	return cmp.Or(dir, "."), nil
}

// open reads the store beside a running agent, or without one, and returns the times asked for.
func (f *storeFlags) open() (s *segment.Store, from, to time.Time, err error) {
	if from, to, err = f.times(); err != nil {
		return nil, from, to, err
	}
	if f.dir, err = f.directory(serviceSettings); err != nil {
		return nil, from, to, err
	}
	if f.note != "" {
		fmt.Fprintln(f.problems(), "note:", f.note)
	}
	s, err = segment.OpenReadOnly(segment.Options{Dir: f.dir})
	var fault *health.Fault
	switch {
	case errors.Is(err, os.ErrPermission) && errors.As(err, &fault):
		return nil, from, to, fault
	case errors.Is(err, os.ErrNotExist):
		return nil, from, to, fmt.Errorf("there is no directory %s; name that of the recordings with --dir or %s", f.dir,
			settings.EnvRecordingDirectory)
	case err != nil:
		return nil, from, to, fmt.Errorf("cannot read the recordings; name their directory with --dir or %s: %w",
			settings.EnvRecordingDirectory, err)
	}
	if len(s.Streams()) == 0 && !s.Used() {
		return nil, from, to, fmt.Errorf("nothing was ever recorded to %s; name the recording directory with --dir or %s", f.dir,
			settings.EnvRecordingDirectory)
	}
	if f.stream != "" && !slices.Contains(s.Streams(), f.stream) {
		return nil, from, to, fmt.Errorf("there are no recordings of stream %s in %s; there are those of: %s", f.stream, f.dir,
			humanize.List(s.Streams()))
	}
	return s, from, to, nil
}

// streams lists those asked for.
func (f *storeFlags) streams(s *segment.Store) []string {
	if f.stream != "" {
		return []string{f.stream}
	}
	return s.Streams()
}
