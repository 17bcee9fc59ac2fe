//go:build !linux

package main

func setDumpable(bool) {}
