package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// costFlags are those of cost.
type costFlags struct {
	storeFlags
	days      int
	until     string
	retention int  // hours
	retained  bool // retention was given
	prices    string
	asJSON    bool
}

const (
	defaultCostDays = 7
	maxCostDays     = 365
	// maxRetention is the longest retention in hours. Source: KVS API, UpdateDataRetention.
	maxRetention = 87600
	day          = 24 * time.Hour
)

func newCostCommand() *cobra.Command {
	f := costFlags{days: defaultCostDays}
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Reckon what the uploads cost a month, and what other fragments and storage tiers would cost",
		Long: `Reckon the bill of a month in Kinesis Video Streams, from what was uploaded and waits for its upload of the
media of the last days: ingest, storage and requests in the storage tiers HOT and WARM, then with fragments
of other lengths, and the cheapest of these. Uploads are counted each day, so that what is deleted from the
disk counts too.

The days are those of UTC: whole ones, and today so far. Consumption (playback) is not part of it. The prices are those
of one region: --prices names a file with others. It changes nothing, and works with or without a running agent.`,
		Example: `  kvs-edge-agent cost --stream front-door --days 30`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.retained = cmd.Flags().Changed("retention")
			report, err := f.report(cmd.Context(), time.Now().UTC())
			if err != nil {
				return err
			}
			if f.asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(report)
			}
			return report.write(cmd.OutOrStdout())
		},
	}
	f.addPlace(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.days, "days", f.days, "how many whole days")
	flags.StringVar(&f.until, "to", "", "the end of the last day (default now): "+humanize.TimeForms)
	flags.IntVar(&f.retention, "retention", f.retention, "for how many hours the cloud keeps the media (default as the stream has it)")
	flags.Lookup("retention").DefValue = ""
	flags.StringVar(&f.prices, "prices", "", "a JSON file of prices (default those of "+cost.Embedded().Region+
		", which come with the program)")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// report reckons what the flags ask for.
func (f *costFlags) report(ctx context.Context, now time.Time) (*costReport, error) {
	if f.days < 1 || f.days > maxCostDays {
		return nil, &exitError{exitSettings, fmt.Errorf("--days is %d, but must be 1 to %d", f.days, maxCostDays)}
	}
	if f.retention < 0 || f.retention > maxRetention {
		return nil, &exitError{exitSettings, fmt.Errorf("--retention is %d, but must be 0 to %d hours", f.retention, maxRetention)}
	}
	prices, err := readPrices(f.prices)
	if err != nil {
		return nil, &exitError{exitSettings, err}
	}
	to, err := timeOf("--to", f.until, now)
	if err != nil {
		return nil, err
	}
	report := newCostReport(f.days, prices)
	report.From, report.To = costSpan(f.days, to.UTC(), now)
	if !report.From.Before(report.To) {
		return nil, &exitError{exitSettings, fmt.Errorf("--to is %q, but that is in the future", f.until)}
	}
	list, err := f.usage(ctx, localapi.Span{Stream: f.stream, From: report.From, To: report.To})
	if err != nil {
		return nil, err
	}
	for _, u := range list {
		if f.retained {
			report.add(u, f.retention, retentionOfFlag)
			continue
		}
		report.add(u, assumedHours, retentionAssumed)
	}
	return report, nil
}

// costSpan is the span of whole days (UTC) that ends with the day of to or, when that is not over, now.
func costSpan(days int, to, now time.Time) (from, until time.Time) {
	if to.IsZero() || to.After(now) && to.Before(now.Add(day)) {
		to = now
	}
	midnight := to.Add(-1).Truncate(day) // of its last day
	if until = midnight.Add(day); until.After(now) {
		return midnight.Add(-time.Duration(days) * day), now
	}
	return until.Add(-time.Duration(days) * day), until
}

// readPrices reads a file of prices, or those that come with the program.
func readPrices(path string) (cost.Prices, error) {
	if path == "" {
		return cost.Embedded(), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return cost.Prices{}, fmt.Errorf("cannot read the prices: open %s: %w", shownName(path), cause(err))
	}
	defer func() { _ = file.Close() }()
	prices, err := cost.ReadPrices(file)
	if err != nil {
		return prices, fmt.Errorf("the file of prices %s cannot be used: %w; docs/cost.md has its form", shownName(path), cause(err))
	}
	return prices, nil
}
