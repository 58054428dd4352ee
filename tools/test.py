"""Evaluate a checkpoint by a config, local or not: `python tools/test.py CONFIG CHECKPOINT`; as `mmlocal test`."""

from mmlocal.commands import script

main = script('test')

if __name__ == '__main__':
    main()
