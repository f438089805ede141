package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// storeFlags are those of all commands that read the recordings.
type storeFlags struct {
	timeFlags
	dir, socket, stream string
	uploads             func(dir string) localapi.Uploads // beside the recordings; nil: nothing is known
	note                string                            // how the service's directory differs from this shell's, or ""
	problems            func() io.Writer                  // the standard error
}

func (f *storeFlags) add(cmd *cobra.Command) {
	f.addPlace(cmd)
	f.timeFlags.add(cmd, "the earliest time (default the first recording)", "the latest time (default now)")
}

// addPlace adds the flags that say where the recordings are, and of which stream.
func (f *storeFlags) addPlace(cmd *cobra.Command) {
	f.problems = cmd.ErrOrStderr
	cmd.Flags().StringVar(&f.dir, "dir", "",
		"the recording directory (default: that of the service, or $AWS_KVS_EDGE_RECORDING_DIRECTORY, or .)")
	cmd.Flags().StringVar(&f.socket, "socket", "", "have the agent on this socket read (default: the one that has the directory, if it runs)")
	cmd.Flags().StringVar(&f.stream, "stream", "", "the stream (default all)")
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

// recordings are those that a command reads: the agent that has them does it, or, where none runs, the command itself.
type recordings struct {
	*localapi.Client
	store   *segment.Store // nil: an agent serves them
	streams []string       // those asked for
	dir     string
	span    localapi.Span // of which Stream is the flag
	close   func()
}

// of is the span of one of the streams.
func (r recordings) of(stream string) localapi.Span {
	return localapi.Span{Stream: stream, From: r.span.From, To: r.span.To}
}

// open finds who reads the recordings, and what is asked for.
func (f *storeFlags) open(ctx context.Context) (r recordings, err error) {
	r.span = localapi.Span{Stream: f.stream}
	if r.span.From, r.span.To, err = f.times(); err != nil {
		return r, err
	}
	names, err := f.served(ctx, &r)
	if err != nil {
		return r, err
	}
	if f.stream != "" && !slices.Contains(names, f.stream) {
		r.close()
		return r, fmt.Errorf("there are no recordings of stream %s in %s; there are those of: %s", f.stream, r.dir, humanize.List(names))
	}
	if r.streams = names; f.stream != "" {
		r.streams = []string{f.stream}
	}
	return r, nil
}

// served has the agent that runs serve the recordings, or else the store itself.
func (f *storeFlags) served(ctx context.Context, r *recordings) (names []string, err error) {
	if f.socket != "" && f.dir != "" {
		return nil, &exitError{exitSettings, errors.New("--socket and --dir exclude each other")}
	}
	if f.socket != "" {
		r.Client, r.close = localapi.NewClient(f.socket), func() {}
		return f.ofAgent(ctx, r)
	}
	explicit := f.dir != ""
	dir, err := f.directory(serviceSettings)
	if !explicit {
		r.Client, r.close, r.dir = clientOf(""), func() {}, dir
		names, agentErr := f.ofAgent(ctx, r)
		if agentErr == nil && (err != nil || sameDirectory(r.dir, dir)) {
			return names, nil
		}
	}
	if err != nil {
		return nil, err
	}
	f.dir, r.dir = dir, dir
	if f.note != "" {
		fmt.Fprintln(f.problems(), "note:", f.note)
	}
	store, err := openRecordings(dir)
	if err != nil {
		return nil, err
	}
	var uploads localapi.Uploads
	if f.uploads != nil {
		uploads = f.uploads(dir)
	}
	r.store = store
	r.Client, r.close = localapi.OfflineWith(store, uploads)
	return store.Streams(), nil
}

// ofAgent lists the streams that an agent has recordings of, and notes its directory.
func (f *storeFlags) ofAgent(ctx context.Context, r *recordings) (names []string, err error) {
	snapshot, err := r.Status(ctx)
	if err != nil {
		return nil, err
	}
	r.dir = snapshot.Disk.Directory
	list, err := r.RecordedStreams(ctx)
	for _, s := range list {
		names = append(names, s.Stream)
	}
	return names, err
}

// sameDirectory reports whether two paths lead to the same directory.
func sameDirectory(a, b string) bool {
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	if err == nil && otherErr == nil {
		return os.SameFile(one, other)
	}
	absolute, err := filepath.Abs(b)
	return err == nil && filepath.Clean(a) == absolute
}

// openRecordings reads a recording directory beside a running agent, or without one.
func openRecordings(dir string) (*segment.Store, error) {
	s, err := segment.OpenReadOnly(segment.Options{Dir: dir})
	var fault *health.Fault
	switch {
	case errors.Is(err, os.ErrPermission) && errors.As(err, &fault):
		return nil, fault
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no directory %s; name that of the recordings with --dir or %s", dir, settings.EnvRecordingDirectory)
	case err != nil:
		return nil, fmt.Errorf("cannot read the recordings; name their directory with --dir or %s: %w", settings.EnvRecordingDirectory, err)
	}
	if len(s.Streams()) == 0 && !s.Used() {
		return nil, fmt.Errorf("nothing was ever recorded to %s; name the recording directory with --dir or %s", dir,
			settings.EnvRecordingDirectory)
	}
	return s, nil
}
