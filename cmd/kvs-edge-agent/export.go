package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func newExportCommand() *cobra.Command {
	var flags storeFlags
	cmd := &cobra.Command{
		Use:   "export --stream NAME [--from TIME] [--to TIME] out.mkv",
		Short: "Join the recordings of a time into one file that any player can seek in",
		Long: `Join what a stream recorded in a time into one Matroska file, without coding anything anew. It is cut at
fragments, so it begins and ends up to one group of pictures beyond the times given. It reads only, and works with or
without a running agent.`,
		Example: `  kvs-edge-agent export --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30' out.mkv`,
		Args:    arguments(1, 1, "name one file to export to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.stream == "" {
				return &exitError{exitSettings, errors.New("name the stream to export with --stream")}
			}
			store, from, to, err := flags.open()
			if err != nil {
				return err
			}
			out, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already: delete it, or name another file", args[0])
			}
			if err != nil {
				return fmt.Errorf("cannot create %s: %w", args[0], err)
			}
			exported, err := store.Export(cmd.Context(), flags.stream, from, to, out)
			if err = errors.Join(err, out.Close()); err != nil {
				_ = os.Remove(args[0]) // half an export is none
				return err
			}
			return tellExport(cmd, args[0], exported)
		},
	}
	flags.add(cmd)
	cmd.Flags().Lookup("stream").Usage = "the stream"
	return cmd
}

func tellExport(cmd *cobra.Command, name string, e segment.Exported) error {
	const layout = "2006-01-02 15:04:05.000"
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s to %s UTC, %s, %d fragments, %.1f MB\n", name,
		e.From.UTC().Format(layout), e.To.UTC().Format(layout), e.To.Sub(e.From).Round(time.Millisecond), e.Fragments, float64(e.Bytes)/1e6)
	for _, g := range e.Gaps {
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "nothing was recorded from %s to %s UTC (%s)\n",
				g.From.UTC().Format(layout), g.To.UTC().Format(layout), g.To.Sub(g.From).Round(time.Millisecond))
		}
	}
	return err
}
