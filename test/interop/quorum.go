package main

import (
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// quorum POLICY CHECKPOINT [EVENT…] verifies a checkpoint, and the tlog-proofs of events, by a policy.
func quorum(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	policy, err := torchwood.ParsePolicy(text)
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	opened, err := note.Open(signed, policy)
	if err != nil {
		return err
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	if err := policy.Check(checkpoint.Origin, opened.Sigs); err != nil {
		return err
	}
	if err := verifyEvents(policy, args[2:]); err != nil {
		return err
	}
	fmt.Println(checkpoint.N)
	return nil
}
