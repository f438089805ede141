package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

const (
	defaultScheduleCount = 10
	maxScheduleCount     = 10000 // an answer is held in memory
	maxScheduleLine      = 1 << 20
)

func newScheduleCommand() *cobra.Command {
	var asJSON, stdin bool
	query := scheduleQuery{Count: defaultScheduleCount}
	var after string
	cmd := &cobra.Command{
		Use:   "schedule [flags] '<expression>' [duration-seconds]",
		Short: "Explain a ScheduleExpression and list its next windows",
		Long: `Say in words what a ScheduleExpression (Quartz cron) means and list its next windows in local
time and in UTC, or say what is wrong with it: the field, the position and the rule.

With --json the answer is {"next":[Unix seconds, ...]} or {"error":"..."}. With --stdin each line read is
a question {"expr":"...","zone":"...","after":Unix seconds,"count":n} and is answered by one such line; what
a question leaves out is taken from the flags.

Exit code: 0 when the expression is valid, 1 when it is not, 2 for wrong arguments.`,
		Example: `  kvs-edge-agent schedule --zone Europe/Berlin '0 0 9-16 ? * MON-FRI' 3600`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case stdin && len(args) > 0:
				return &exitError{exitSettings, errors.New("with --stdin the expressions are read, none can be an argument")}
			case !stdin && (len(args) == 0 || len(args) > 2):
				return &exitError{exitSettings, errors.New("give one expression in quotation marks, and the duration in seconds if you like")}
			case query.Count < 1 || query.Count > maxScheduleCount:
				return &exitError{exitSettings, fmt.Errorf("--count must be 1 to %d", maxScheduleCount)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("after") {
				seconds, err := secondsOf(after)
				if err != nil {
					return err
				}
				query.After = &seconds
			}
			if stdin {
				return answerScheduleLines(cmd.InOrStdin(), cmd.OutOrStdout(), query)
			}
			return answerSchedule(cmd.OutOrStdout(), query, args, asJSON)
		},
	}
	cmd.Flags().StringVar(&query.Zone, "zone", "", "time zone, Europe/Berlin for example (default the system's)")
	cmd.Flags().StringVar(&after, "after", "", "list what comes after this `time` (default now): "+humanize.TimeForms)
	cmd.Flags().IntVar(&query.Count, "count", defaultScheduleCount, "how many windows to list")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&stdin, "stdin", false, "answer one question of JSON per line of the standard input")
	return cmd
}

// secondsOf reads the time of --after in Unix seconds. A number of any length is such a time.
func secondsOf(text string) (int64, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) < 12 {
		return seconds, nil
	}
	t, err := timeOf("--after", text, time.Now())
	return t.Unix(), err
}

// answerSchedule answers the arguments: an expression and, maybe, the duration of a window.
func answerSchedule(out io.Writer, query scheduleQuery, args []string, asJSON bool) error {
	query.Expr = args[0]
	var duration time.Duration
	if len(args) == 2 {
		var err error
		if duration, err = windowDuration(args[1]); err != nil {
			return &exitError{exitSettings, err}
		}
	}
	if !asJSON {
		return explainSchedule(out, query, duration)
	}
	answer := query.answer()
	if err := answer.write(out); err != nil {
		return err
	}
	if answer.Error != "" {
		return &exitError{code: exitFailure}
	}
	return nil
}

// answerScheduleLines answers one question per line, each as soon as it is read.
func answerScheduleLines(r io.Reader, w io.Writer, defaults scheduleQuery) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxScheduleLine)
	for lines.Scan() {
		query := defaults
		if defaults.After != nil {
			after := *defaults.After // the decoder writes through the pointer
			query.After = &after
		}
		answer := scheduleAnswer{}
		switch err := json.Unmarshal(lines.Bytes(), &query); {
		case err != nil:
			answer.Error = fmt.Sprintf("the question is not a line of JSON such as {\"expr\":\"0 0 9 * * ?\"}: %v", err)
		case query.Count < 1 || query.Count > maxScheduleCount:
			answer.Error = fmt.Sprintf("count must be 1 to %d", maxScheduleCount)
		default:
			answer = query.answer()
		}
		if err := answer.write(w); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the questions: %w", err)
	}
	return nil
}

func windowDuration(text string) (time.Duration, error) {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < edgeconfig.MinDurationSeconds || seconds > edgeconfig.MaxDurationSeconds {
		return 0, fmt.Errorf("the duration is %q and must be %d to %d seconds", text, edgeconfig.MinDurationSeconds,
			edgeconfig.MaxDurationSeconds)
	}
	return time.Duration(seconds) * time.Second, nil
}

// explainSchedule writes for people; without a duration only when windows begin.
func explainSchedule(w io.Writer, q scheduleQuery, duration time.Duration) error {
	expression, zone, err := q.parse()
	if err != nil {
		return &exitError{exitFailure, err}
	}
	starts := q.next(expression)
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "Meaning:  %s\nZone:     %s\n\n", scheduler.Describe(expression), zone)
	if anyValue.MatchString(q.Expr) {
		fmt.Fprint(table, "Note:     99 stands for every value, as in Quartz; write * if that is meant\n\n")
	}
	switch {
	case len(starts) == 0:
		fmt.Fprintln(table, "It never fires again.")
	case duration > 0:
		fmt.Fprintln(table, "BEGIN\tEND\tBEGIN (UTC)\tEND (UTC)\t")
	default:
		fmt.Fprintln(table, "BEGIN\tBEGIN (UTC)\t")
	}
	for _, start := range starts {
		if duration == 0 {
			fmt.Fprintf(table, "%s\t%s\t\n", humanize.Weekday(start), humanize.Time(start.UTC()))
			continue
		}
		end := start.Add(duration)
		note := ""
		if next := expression.Next(start); !next.IsZero() && !next.After(end) {
			note = "continues without a break"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", humanize.Weekday(start), humanize.Weekday(end), humanize.Time(start.UTC()),
			humanize.Time(end.UTC()), note)
	}
	if n := len(starts); n > 0 && n < q.Count {
		fmt.Fprintln(table, "After this it never fires again.")
	}
	return table.Flush()
}
