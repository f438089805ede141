package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// costWidth is how wide the report is.
const costWidth = 100

func (r *costReport) write(w io.Writer) error {
	var b bytes.Buffer
	if len(r.Streams) == 0 {
		b.WriteString("Nothing is recorded, and nothing was uploaded.\n")
	}
	for _, s := range r.Streams {
		r.writeStream(&b, s)
	}
	currency := r.Prices.Currency
	if len(r.Streams) > 1 {
		r.wrap(&b, fmt.Sprintf("All %d streams, with fragments as they are: %s a month in the HOT tier, %s in the WARM tier.", len(r.Streams),
			money(r.Total.Hot.Total, currency), money(r.Total.Warm.Total, currency)))
	}
	gb := "2^30"
	if r.Prices.BytesPerGB == cost.DecimalGB {
		gb = "10^9"
	}
	r.wrap(&b, fmt.Sprintf("Prices of %s, %s (%s). A GB is %s bytes, a month %d days. Playback is not part of it.", r.Prices.Region,
		r.Prices.Date, r.Prices.Source, gb, r.MonthDays))
	_, err := w.Write(b.Bytes())
	return err
}

func (r *costReport) writeStream(b *bytes.Buffer, s costStream) {
	r.wrap(b, fmt.Sprintf("%s  %s to %s", shownName(s.Stream.Stream), humanize.Minute(s.From.UTC()), humanize.Minute(s.To.UTC())))
	b.WriteString("\n")
	if s.Month == nil {
		r.wrap(b, s.Cheapest)
		b.WriteString("\n")
		return
	}
	retention := fmt.Sprintf("%d h", s.ReckonedHours)
	switch s.RetentionSource {
	case retentionOfFlag:
		retention += ", as --retention says"
	case retentionAssumed:
		retention += ", assumed, as the stream's is not known here: --retention names it"
	}
	tier := s.StorageTier
	if tier == "" {
		tier = "not known here"
	}
	measured := fmt.Sprintf("%s, %s fragments of %s, %s calls; %s of video", gigabytes(s.GB), grouped(s.Fragments), seconds(s.MeanSeconds),
		grouped(s.Calls), humanize.Span(time.Duration(s.MediaSeconds*float64(time.Second))))
	month := s.Month
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "measured\t%s\n", measured)
	if s.WaitingFragments > 0 {
		fmt.Fprintf(table, "\t%s of the fragments wait for their upload\n", grouped(s.WaitingFragments))
	}
	if s.OnRequest {
		fmt.Fprintf(table, "\tnot uploaded by itself: what is only on the disk is not part of it\n")
	}
	fmt.Fprintf(table, "a month\t%s, %s fragments, %s calls\n", gigabytes(month.GB), rounded(month.Fragments), rounded(month.Calls))
	fmt.Fprintf(table, "retention\t%s\nstorage tier\t%s\n\n", retention, tier)
	_ = table.Flush()
	r.writeBill(b, month.Bill)
	r.writeLengths(b, month.Lengths)
	r.wrap(b, s.Cheapest)
	b.WriteString("\n")
}

// right aligns the cells of a table to the right.
func right(b *bytes.Buffer) *tabwriter.Writer {
	return tabwriter.NewWriter(b, 12, 0, 2, ' ', tabwriter.AlignRight)
}

func (r *costReport) writeBill(b *bytes.Buffer, bills cost.Bills) {
	table := right(b)
	cell := func(amount float64) string { return money(amount, r.Prices.Currency) }
	fmt.Fprintln(table, "A MONTH\tHOT\tWARM\t")
	for _, row := range []struct {
		name string
		of   func(cost.Bill) float64
	}{
		{"ingest", func(b cost.Bill) float64 { return b.Ingest }},
		{"storage", func(b cost.Bill) float64 { return b.Storage }},
		{"requests", func(b cost.Bill) float64 { return b.Requests }},
		{"total", func(b cost.Bill) float64 { return b.Total }},
	} {
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", row.name, cell(row.of(bills.Hot)), cell(row.of(bills.Warm)))
	}
	_ = table.Flush()
	b.WriteString("\n")
}

func (r *costReport) writeLengths(b *bytes.Buffer, lengths []cost.Length) {
	table := right(b)
	cell := func(amount float64) string { return money(amount, r.Prices.Currency) }
	fmt.Fprintln(table, "FRAGMENT\tA MONTH\tHOT\tWARM\tINGEST\tSTORAGE\t")
	for _, l := range lengths {
		name := seconds(l.Seconds)
		if l.Present {
			name = "now " + name
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t\n", name, rounded(l.Fragments), cell(l.Hot.Total), cell(l.Warm.Total), cell(l.Warm.Ingest),
			cell(l.Warm.Storage))
	}
	_ = table.Flush()
	b.WriteString("\n")
}

// wrap writes a text in lines of costWidth.
func (r *costReport) wrap(b *bytes.Buffer, text string) {
	line := ""
	for _, word := range strings.Split(text, " ") {
		for len([]rune(word)) > costWidth { // such as a name of 256 letters
			if line != "" {
				b.WriteString(line + "\n")
			}
			line, word = string([]rune(word)[:costWidth]), string([]rune(word)[costWidth:])
		}
		if line != "" && len([]rune(line))+1+len([]rune(word)) > costWidth {
			b.WriteString(line + "\n")
			line = word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

// gigabytes is a size in GB as AWS counts them.
func gigabytes(gb float64) string {
	if gb < 1 {
		return fmt.Sprintf("%.4f GB", gb)
	}
	return fmt.Sprintf("%.1f GB", gb)
}

// rounded is a number without places, with its thousands grouped.
func rounded(n float64) string { return grouped(int64(n + 0.5)) }

// grouped writes a number with its thousands grouped.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
