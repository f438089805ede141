package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// span is a flag of a length of time, with days and weeks as well.
type span time.Duration

// String implements pflag.Value.
func (s *span) String() string { return time.Duration(*s).String() }

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	d, err := humanize.ParseSpan(text)
	*s = span(d)
	return err
}

// Type implements pflag.Value. It is that of flags that take Go's durations, and so is the sentence about it.
func (s *span) Type() string { return "duration" }

// spanVar adds a flag of a length of time.
func spanVar(flags *pflag.FlagSet, into *time.Duration, name string, otherwise time.Duration, usage string) {
	*into = otherwise
	flags.Var((*span)(into), name, usage)
}

// wantedBy says what a flag of a type takes.
var wantedBy = map[string]string{
	"duration": "a time span such as 60s, 5m, 1h30m or 7d",
	"int":      "a whole number", "int64": "a whole number", "uint64": "a whole number, not below 0",
	"bool": "true or false", "float64": "a number",
}

// flagError says in plain words what is wrong with a flag: every command has it.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		empty   *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	see := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		err = fmt.Errorf("%s has no flag %s: %s", cmd.Name(), name, see)
	case errors.As(err, &empty):
		err = fmt.Errorf("--%s needs a value: %s", empty.GetFlag().Name, see)
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		wanted, known := wantedBy[flag.Value.Type()]
		if !known {
			return &exitError{exitSettings, fmt.Errorf("--%s %w", flag.Name, invalid.Unwrap())}
		}
		err = fmt.Errorf("--%s is %q, but must be %s", flag.Name, invalid.GetValue(), wanted)
	}
	return &exitError{exitSettings, err}
}

// timeFlags choose a time span: --from and --to, or --last.
type timeFlags struct {
	from, to string
	last     time.Duration
}

func (f *timeFlags) add(cmd *cobra.Command, from, to string) {
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", from+": "+humanize.TimeForms)
	flags.StringVar(&f.to, "to", "", to)
	spanVar(flags, &f.last, "last", 0, "the time span until now, such as 10m or 2d, in place of --from and --to")
	// A span that was not given has no default that a person should read.
	flags.Lookup("last").DefValue = ""
}

// times reads the flags; zero is unbounded.
func (f *timeFlags) times() (from, to time.Time, err error) {
	now := time.Now()
	switch {
	case f.last < 0:
		return from, to, &exitError{exitSettings, errors.New("--last must not be negative")}
	case f.last > 0 && (f.from != "" || f.to != ""):
		return from, to, &exitError{exitSettings, errors.New("--last is in place of --from and --to: give the one or the others")}
	case f.last > 0:
		return now.Add(-f.last), now, nil
	}
	if from, err = timeOf("--from", f.from, now); err != nil {
		return from, to, err
	}
	if to, err = timeOf("--to", f.to, now); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		err = &exitError{exitSettings, fmt.Errorf("--from %s is not before --to %s", f.from, f.to)}
	}
	return from, to, err
}

// timeOf reads the time of a flag; without one it is zero.
func timeOf(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := humanize.ParseTime(text, now)
	if err != nil {
		return t, &exitError{exitSettings, fmt.Errorf("%s is %q, but %w", flag, text, err)}
	}
	return t, nil
}

// inSpan says which time was asked for.
func inSpan(from, to time.Time) string {
	var words []string
	if !from.IsZero() {
		words = append(words, "from "+humanize.Time(from.Local()))
	}
	if !to.IsZero() {
		words = append(words, "to "+humanize.Time(to.Local()))
	}
	return strings.Join(words, " ")
}
