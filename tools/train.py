"""Train a model of a config, local or not: `python tools/train.py CONFIG`; the same as `mmlocal train`."""

from mmlocal.commands import script

main = script('train')

if __name__ == '__main__':
    main()
