package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// noArguments is for commands that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	return arguments(0, 0, "only flags may follow; put a time with a space into quotation marks")(cmd, args)
}

// arguments takes from least to most of them. Otherwise the sentence says what is wanted, and the exit code is
// that of wrong arguments: 1 would mean a negative answer to monitoring.
func arguments(least, most int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return &exitError{exitSettings, fmt.Errorf("%s: %s, see `%s --help`", cmd.Name(), wanted, cmd.CommandPath())}
		}
		return nil
	}
}

// checkCommand refuses words that name no command before flags are read: those of no command are unknown all.
func checkCommand(root *cobra.Command, args []string) error {
	i := slices.IndexFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	if i < 0 || strings.HasPrefix(args[i], cobra.ShellCompRequestCmd) {
		return nil
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() == args[i] || cmd.HasAlias(args[i]) {
			return nil
		}
	}
	return unknownCommand(root, args[i])
}

// unknownCommand says that a word names no command, and which one may be meant.
func unknownCommand(root *cobra.Command, word string) error {
	if word == "" {
		return &exitError{exitSettings, fmt.Errorf("the name of the command is empty, see `%s --help`", root.Name())}
	}
	text := fmt.Sprintf("there is no command %s, see `%s --help`", word, root.Name())
	if like := root.SuggestionsFor(word); len(like) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(like, " or "))
	}
	return &exitError{exitSettings, errors.New(text)}
}

// The groups of the help text.
var groups = []struct {
	id, title string
	commands  []string
}{
	{"operate", "Operate the agent:", []string{"run", "status", "streams", "check", "reload", "log-level", "support-bundle"}},
	{"look", "Look at recordings:", []string{"segments", "export", "verify", "upload", "hold"}},
	{"try", "Try it without an account:", []string{"demo", "record", "localcloud", "fakecam"}},
	{"tools", "Tools:", []string{"schedule", "completion", "help", "version"}},
}

// addHelp adds to the root its help command, its completion command and their groups.
func addHelp(root *cobra.Command) {
	root.SetHelpCommand(newHelpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, group := range groups {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, cmd := range root.Commands() {
			if slices.Contains(group.commands, cmd.Name()) {
				cmd.GroupID = group.id
			}
			if cmd.Name() == "completion" {
				refuseOtherShells(cmd)
			}
		}
	}
}

func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			cmd, rest, err := root.Find(args)
			if err != nil || cmd == root || len(rest) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			return cmd.Help()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, cmd := range root.Commands() {
				if len(args) == 0 && cmd.IsAvailableCommand() {
					names = append(names, cmd.Name()+"\t"+cmd.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func refuseOtherShells(completion *cobra.Command) {
	var shells []string
	for _, cmd := range completion.Commands() {
		shells = append(shells, cmd.Name())
	}
	completion.Args = cobra.ArbitraryArgs
	completion.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return &exitError{exitSettings, fmt.Errorf("there is no completion for %s; there is for %s", args[0], humanize.List(shells))}
	}
}
