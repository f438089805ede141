package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
)

func newLocalCloudBillCommand() *cobra.Command {
	var dir, stream string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bill",
		Short: "Print what AWS would charge for the streams of a local cloud",
		Long: `Print, for each stream and storage tier, the fragments and bytes that were ingested, the GB-hours for which they are
stored until now, and the price at us-east-1's prices of November 2026. The local cloud may run.`,
		Example: `  kvs-edge-agent localcloud bill --dir cloud`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return &exitError{exitSettings, errors.New("name the directory of the local cloud with --dir")}
			}
			bills, err := localcloud.Bills(dir, time.Now())
			if err != nil {
				return err
			}
			lines := billLines(bills, stream)
			if stream != "" && len(lines) == 0 {
				return fmt.Errorf("the local cloud in %s has no stream %s", dir, stream)
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(lines)
			}
			return writeBills(cmd.OutOrStdout(), lines)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the directory of the local cloud")
	cmd.Flags().StringVar(&stream, "stream", "", "the stream (default all)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// billLine is what a stream costs in one storage tier, in US dollars.
type billLine struct {
	Stream    string  `json:"stream"`
	Tier      string  `json:"tier"`
	Fragments int     `json:"fragments"`
	Bytes     int64   `json:"bytes"`
	GBHours   float64 `json:"gbHours"`
	Ingest    float64 `json:"ingest"`
	Storage   float64 `json:"storage"`
	Total     float64 `json:"total"`
}

// billLines are those of one stream or, with "", of all: a line for each tier.
func billLines(bills []localcloud.StreamBill, stream string) []billLine {
	lines := []billLine{}
	for _, b := range bills {
		if stream != "" && b.Stream != stream {
			continue
		}
		for _, t := range []struct {
			name string
			kvs.TierBill
		}{{kvs.TierHot, b.Hot}, {kvs.TierWarm, b.Warm}} {
			lines = append(lines, billLine{b.Stream, t.name, t.Fragments, t.Bytes, t.GBHours, t.Ingestion, t.Storage, t.Ingestion + t.Storage})
		}
	}
	return lines
}

func writeBills(w io.Writer, lines []billLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "The local cloud has no stream.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tTIER\tFRAGMENTS\tBYTES\tGB-HOURS\tINGEST\tSTORAGE\tTOTAL")
	for _, l := range lines {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.3f\t%s\t%s\t%s\n", shownName(l.Stream), l.Tier, grouped(int64(l.Fragments)), grouped(l.Bytes),
			l.GBHours, money(l.Ingest, "USD"), money(l.Storage, "USD"), money(l.Total, "USD"))
	}
	return table.Flush()
}
