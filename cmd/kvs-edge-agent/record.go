package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func newRecordCommand() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record [flags] rtsp://… [rtsp://…]",
		Short: "Record cameras to segment files, without a cloud and without a configuration",
		Long: `Records each camera into a directory of its own, named after its host, path and query, with the recorder, the
store and the settings of the agent (AWS_KVS_EDGE_AUDIO and so on; a flag takes precedence). URLs are taken as the
camera's secret has them: a password needs no escaping. Those of --url-file do not show in the list of processes.

Prints a line for each finished segment and, at the end, a summary of each camera. Without --duration it records until
it is stopped. Without --max-age or --max-size nothing is deleted that is not in a cloud; when the disk runs low, recording
pauses instead.

Exit code: 0 when every camera was recorded, 1 when one of them sent nothing, 2 for wrong arguments.`,
		Example: `  kvs-edge-agent record --dir /data --max-age 7d --max-size 50GB rtsp://user:password@192.168.1.20/stream1
  kvs-edge-agent record --url-file cameras.txt --duration 60s`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && o.urlFile == "" {
				return &exitError{exitSettings, fmt.Errorf("record: name at least one camera, such as rtsp://user:password@192.168.1.20/path, "+
					"or a file with --url-file, see `%s --help`", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return &exitError{exitSettings, err}
			}
			return runRecord(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "recordings", "where the segments are kept")
	flags.StringVar(&o.urlFile, "url-file", "", "read the cameras' URLs from this `file`, one a line; - for the standard input")
	spanVar(flags, &o.duration, "duration", 0, "how long to record (default: until stopped)")
	flags.Lookup("duration").DefValue = ""
	spanVar(flags, &o.maxAge, "max-age", 0, "delete recordings that are older, such as 7d (default: never)")
	flags.Lookup("max-age").DefValue = ""
	flags.StringVar(&o.maxSize, "max-size", "", "keep this much of each camera, such as 50GB, and delete the oldest (default: no limit)")
	for _, v := range recordVariables {
		flags.String(v.flag, "", v.usage)
	}
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

func runRecord(ctx context.Context, out, problems io.Writer, o recordOptions) error {
	streams, err := streamNames(o.cameras)
	if err != nil {
		return &exitError{exitSettings, err}
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return &exitError{exitSettings, fmt.Errorf("cannot make the directory %s: %w; name another one with --dir", o.dir, cause(err))}
	}
	if _, total, err := segment.FreeSpace(o.dir); err == nil {
		if text := settings.ReserveTooLarge(o.settings.MinFreeDisk, o.dir, total); text != "" {
			return &exitError{exitSettings, errors.New(strings.Replace(text, settings.EnvMinFreeDisk, "--min-free", 1))}
		}
	}
	store, err := segment.Open(segment.Options{Dir: o.dir, FlushInterval: o.settings.FlushInterval})
	if err != nil {
		return errors.New(withoutSecret(err.Error()))
	}
	defer func() { _ = store.Close() }()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	s := newRecordSession(o, streams, out, store)
	if err := s.run(ctx, problems); err != nil {
		return err
	}
	return s.summarize()
}
