package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// noArguments is for commands that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	return arguments(0, 0, "only flags may follow")(cmd, args)
}

// arguments takes from least to most of them. Otherwise the sentence says what is wanted, and the exit code is
// that of wrong arguments: 1 would tell monitoring that the answer is no.
func arguments(least, most int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return &exitError{exitSettings, fmt.Errorf("%s: %s, see `%s --help`", cmd.Name(), wanted, cmd.CommandPath())}
		}
		return nil
	}
}

// unknownCommand is what the root command does with words that name none of its commands.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return root.Help()
	}
	text := fmt.Sprintf("there is no command %s, see `%s --help`", args[0], root.Name())
	for _, name := range root.SuggestionsFor(args[0]) {
		text += fmt.Sprintf("; did you mean %s?", name)
	}
	return &exitError{exitSettings, errors.New(text)}
}
