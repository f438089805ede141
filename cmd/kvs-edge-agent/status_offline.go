package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// writeRecorded shows what is recorded while no agent runs that could be asked, as far as that can be read.
func writeRecorded(ctx context.Context, out io.Writer, service string) {
	var flags storeFlags
	dir, err := flags.directory(service)
	if err != nil {
		return
	}
	store, err := openRecordings(dir)
	if err != nil {
		return
	}
	client, stop := localapi.Offline(store)
	defer stop()
	list, err := client.RecordedStreams(ctx)
	if err != nil || len(list) == 0 {
		return
	}
	fmt.Fprintf(out, "What is recorded in %s:\n\n", shownName(dir))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tFROM\tTO\tSEGMENTS\tSIZE\tNOT UPLOADED")
	for _, s := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", shownName(s.Stream), humanize.Time(s.Oldest.Local()), humanize.Time(s.Newest.Local()),
			s.Segments, humanize.Bytes(s.UsedBytes), humanize.Bytes(s.NotUploadedBytes))
	}
	_ = table.Flush()
}
