package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// defaultSegmentLines is how many recordings of a stream are listed without --all.
const defaultSegmentLines = 20

func newSegmentsCommand() *cobra.Command {
	var flags storeFlags
	var asJSON, all, gaps bool
	limit := defaultSegmentLines
	cmd := &cobra.Command{
		Use:   "segments",
		Short: "List what is recorded, its upload state, and the gaps",
		Long: `List the recordings in the recording directory: first a line for each stream, then the newest recordings of
each, oldest first, with their upload state, and the gaps between and within them. --all lists every recording. Times are
local. Earlier versions did not note the gaps within recordings: up to 50 of their recordings are read to find them, and
with --gaps all, at about 20 ms for 5 minutes of video. It changes nothing, and works with or without a running agent.`,
		Example: `  kvs-edge-agent segments --stream front-door --last 1h`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return &exitError{exitSettings, errors.New("--limit must not be negative")}
			}
			recordings, err := flags.open(cmd.Context())
			if err != nil {
				return err
			}
			defer recordings.close()
			list, unread, err := listSegments(cmd.Context(), recordings, gaps)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(list)
			}
			if all {
				limit = len(list)
			}
			if err := writeSegments(cmd.OutOrStdout(), list, limit); err != nil || unread == 0 {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Gaps within %s of an earlier version are not counted: --gaps.\n",
				humanize.Count(unread, "segment"))
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, always of all")
	cmd.Flags().BoolVar(&gaps, "gaps", false, "read all recordings of earlier versions for the gaps within them")
	cmd.Flags().BoolVar(&all, "all", false, "list every recording")
	cmd.Flags().IntVar(&limit, "limit", defaultSegmentLines, "how many recordings of each stream to list, the newest; 0 for the summary only")
	return cmd
}
